// Headless Chromium for several people at once: each has a browser of their own, with its own
// cookies, and does what they are told at a control port. See tests/support/browsers.lua.
//
//   POST /open?as=alice    body: a URL; logs in as alice where the provider asks for it
//   POST /click?as=alice   body: the words on a button or link
//   POST /cookies?as=alice
//   POST /forget           closes all of them, cookies and all
//
// The first two answer with what is to be seen then: { url, status, text }. The provider's origin
// is the argument; the control port's URL is written to $READY_FILE.

import { createServer } from 'node:http';
import { launch, logIn, patience } from './login_pages.mjs';
import { listen, say } from './ports.mjs';

const [provider] = process.argv.slice(2);
const browser = await launch();
const pages = new Map();

async function pageOf(name) {
  if (!pages.has(name)) {
    const page = await (await browser.newContext()).newPage();
    page.setDefaultTimeout(patience);
    page.on('response', (response) => {
      if (response.request().isNavigationRequest()) page.status = response.status();
    });
    pages.set(name, page);
  }
  return pages.get(name);
}

async function settle(page, name) {
  await page.waitForLoadState();
  await logIn(page, provider, { user: name, password: 'any' });
  return { url: page.url(), status: page.status, text: await page.innerText('body') };
}

const controls = {
  async open(name, url) {
    const page = await pageOf(name);
    await page.goto(url);
    return settle(page, name);
  },
  async click(name, words) {
    const page = await pageOf(name);
    await Promise.all([page.waitForNavigation(), page.click(`text="${words}"`)]);
    return settle(page, name);
  },
  async cookies(name) {
    return (await pageOf(name)).context().cookies();
  },
  async forget() {
    await Promise.all([...pages.values()].map((page) => page.context().close()));
    pages.clear();
  },
};

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://control');
  try {
    const control = controls[url.pathname.slice(1)];
    const result = await control(url.searchParams.get('as'), await read(request));
    response.end(JSON.stringify(result ?? null));
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error.stack));
  }
});

process.on('SIGTERM', async () => {
  await browser.close();
  process.exit();
});

say(`http://127.0.0.1:${await listen(server)}`);
