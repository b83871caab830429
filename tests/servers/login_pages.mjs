// A person at the login pages of oidc-provider or glewlwyd, by headless Chromium.

import { chromium } from 'playwright-core';

export const patience = 60000; // milliseconds: a busy machine takes long to start a browser

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    timeout: patience,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--ignore-certificate-errors',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, '
        + 'EXCLUDE 127.0.0.1, EXCLUDE [::1], EXCLUDE localhost'],
  });
}

export function isAt(page, server) {
  return page.url().startsWith(`${server}/`);
}

// What a person does, in the order of its urgency: where this is to be seen, do that.
function stepsOf(page, { user, password, deny, code }) {
  async function enter(nameField, passwordField) {
    await page.fill(nameField, user);
    await page.fill(passwordField, password);
    await page.click('[type=submit]');
  }
  return [
    ['input[name=user_code][type=text]', async () => {
      await page.fill('input[name=user_code]', code);
      await page.click('text="Continue"');
    }],
    // oidc-provider, glewlwyd
    ['input[name=login]', () => enter('input[name=login]', 'input[name=password]')],
    ['#username', () => enter('#username', '#password')],
    ['.form-check-input', async () => {
      await page.check('.form-check-input');
      await page.click('text="Grant access"');
    }],
    ['text="Continue"', () => page.click(deny ? 'text="[ Cancel ]"' : 'text="Continue"')], // both
  ];
}

// The pages that oidc-provider ends with, or on which it asks who wants to leave.
const lastPages = 'text=/Sign-in Success|Sign-out Success|sign me out/';

// Logs in and consents until the browser has been sent away from the server, or is at such a page.
export async function logIn(page, server, person) {
  const deadline = Date.now() + patience;
  while (isAt(page, server) && !await page.isVisible(lastPages)) {
    for (const [selector, step] of stepsOf(page, person)) {
      if (!isAt(page, server) || !await page.isVisible(selector)) continue;
      await step();
      await page.waitForSelector(selector, { state: 'hidden' });
    }
    if (Date.now() > deadline) throw new Error('the login pages never end');
    await page.waitForTimeout(20);
  }
  await page.waitForLoadState();
}
