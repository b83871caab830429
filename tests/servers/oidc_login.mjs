// Walks through oidc-provider's login pages as a browser does, without one.
import http from 'node:http';

// Not fetch: Debian's Node 18 has none that tells one cookie from the next.
function send(url, body, cookies) {
  return new Promise((resolve, reject) => {
    const headers = { Cookie: cookies };
    if (body) headers['Content-Type'] = 'application/x-www-form-urlencoded';
    const request = http.request(url, { method: body ? 'POST' : 'GET', headers }, (response) => {
      let html = '';
      response.setEncoding('utf8');
      response.on('data', (piece) => { html += piece; });
      response.on('end', () => resolve({
        status: response.statusCode, headers: response.headers, html,
      }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body ? String(body) : undefined);
  });
}

function readCookies(jar, headers) {
  for (const line of headers['set-cookie'] ?? []) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    if (value) jar.set(name, value);
    else jar.delete(name);
  }
}

function form(user, deny, html) {
  const [, url] = /<form [^>]*action="([^"]+)"/.exec(html);
  const body = new URLSearchParams({ login: user, password: 'any' });
  for (const [, name, value] of html.matchAll(/name="(\w+)" value="([^"]*)"/g)) {
    if (name !== 'abort' || deny) body.set(name, value);
  }
  return { url, body };
}

const jars = new Map(); // of each user's last browser

// Logs out of the provider in the browser that the user came by last.
export async function logOut(origin, user) {
  const cookies = [...jars.get(user)].map(([name, value]) => `${name}=${value}`).join('; ');
  const { html } = await send(`${origin}/session/end`, undefined, cookies);
  const { url, body } = form(user, false, html);
  body.set('logout', 'yes');
  const { status } = await send(url, body, cookies);
  if (status !== 303) throw new Error(`the log out was answered with status ${status}`);
}

// Returns where the browser is sent at last: an address that is not the server's. Or what the
// pages for a device end with. jar: the browser's cookies, of one that has been here before.
export async function logIn(authorizeUrl, { user = 'alice', deny = false, jar = new Map() } = {}) {
  const { origin } = new URL(authorizeUrl);
  jars.set(user, jar);
  let url = authorizeUrl;
  let body;
  for (let steps = 0; steps < 20; steps += 1) {
    const cookies = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const { status, headers, html } = await send(url, body, cookies);
    readCookies(jar, headers);
    const { location } = headers;
    if (location) {
      url = new URL(location, url).href;
      body = undefined;
      if (!url.startsWith(`${origin}/`)) return location;
    } else if (/Sign-in Success|was interrupted/.test(html)) {
      return /Sign-in Success|was interrupted/.exec(html)[0];
    } else if (!html.includes('<form ')) {
      throw new Error(`the server answered with status ${status}: ${html}`);
    } else if (deny && html.includes('value="consent"')) {
      [, url] = /<a href="([^"]+)">\[ Cancel \]/.exec(html);
      body = undefined;
    } else {
      ({ url, body } = form(user, deny, html));
    }
  }
  throw new Error('the login pages never end');
}
