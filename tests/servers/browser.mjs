// A person at a browser: what specs and the demo name as $BROWSER. Headless Chromium opens the
// URL, logs in and consents on the pages of oidc-provider or glewlwyd, and stays until it has
// been sent back and the page there has settled.
//
//   BROWSER_USER, BROWSER_PASSWORD  who logs in; alice, wonderland
//   BROWSER_CODE                    what to enter where a device's code is asked for
//   BROWSER_DENY                    set: says no
//   BROWSER_REPORT                  a file for JSON about the last page: { url, text, console }
//   BROWSER_SCREENSHOT              a file for a picture of it, PNG

import { renameSync, writeFileSync } from 'node:fs';
import { isAt, launch, logIn, patience } from './login_pages.mjs';

const { BROWSER_USER: user = 'alice', BROWSER_PASSWORD: password = 'wonderland' } = process.env;
const { BROWSER_CODE: code, BROWSER_DENY: deny } = process.env;
const { BROWSER_REPORT: report, BROWSER_SCREENSHOT: picture } = process.env;
const [url] = process.argv.slice(2);
let server; // known once the listener has sent the browser there

const browser = await launch();
const page = await browser.newPage();
page.setDefaultTimeout(patience);

const messages = []; // of the last page alone
page.on('console', (message) => {
  if (server && !isAt(page, server)) messages.push(`${message.type()}: ${message.text()}`);
});

try {
  await page.goto(url);
  server = new URL(page.url()).origin;
  await logIn(page, server, { user, password, deny, code });
  await page.waitForSelector('#handoff', { state: 'hidden' }); // our page for the implicit grant
  if (picture) await page.screenshot({ path: picture });
  if (report) {
    const text = await page.innerText('body');
    const seen = { url: page.url(), text, console: messages };
    writeFileSync(`${report}.new`, JSON.stringify(seen));
    renameSync(`${report}.new`, report);
  }
} finally {
  await browser.close();
}
