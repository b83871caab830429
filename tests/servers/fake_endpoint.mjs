// A token endpoint that does what the tests tell it; see tests/support/fake_endpoint.lua.
//
// A module for run.mjs. It listens on ports of its own choice: plain HTTP, a proxy, a control port
// and, where the setting `certificates` names their directory, HTTPS under two names. `ready` is
// these ports, as JSON.

import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import zlib from 'node:zlib';
import { close, listen } from './ports.mjs';

const certificates = new URL(import.meta.url).searchParams.get('certificates');
const MEGABYTE = 1024 * 1024;

let requests = [];
let connections = 0;
let open = 0;
let queue = []; // what /token does next; the last entry stays
let tokens = 0;
let proxyLogin;
let held = []; // behaviours that wait; undefined: none does any more

// By the client's port, so that the TCP connection below a TLS one is found.
const sockets = new Map();

const accept = (socket) => {
  socket.number = ++connections;
  sockets.set(socket.remotePort, socket);
  open++;
  socket.on('close', () => { open--; });
  ignoreErrors(socket);
};

const ignoreErrors = (socket) => socket.on('error', () => {}); // broken connections are our trade
const reset = (socket) => sockets.get(socket?.remotePort)?.resetAndDestroy();

const json = (response, status, value, headers = {}) => {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
};

const token = (extra = {}) =>
  ({ access_token: `access-${++tokens}`, token_type: 'Bearer', ...extra });

const begin = (response, length) => {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': length });
  response.write('{"access_token":"half a tok');
};

const end = (response, headers, last = () => response.socket?.end()) => {
  response.writeHead(200, { 'Content-Type': 'application/json', ...headers });
  response.write(JSON.stringify(token({ refresh_token: 'whole', expires_in: 3600 })));
  setTimeout(last, 50);
};

const spent = new Set(); // refresh tokens

// By name: the first part of the path, or what was queued for /token.
const behaviours = {
  token: ({ response }) => json(response, 200, token({ expires_in: 3600 })),

  once: ({ response, body, query }) => {
    const sent = new URLSearchParams(body).get('refresh_token');
    if (spent.has(sent)) return json(response, 400, { error: 'invalid_grant' });
    spent.add(sent);
    const next = token({ expires_in: 3600 });
    next.refresh_token = `${sent.split('~')[0]}~${tokens}`;
    setTimeout(json, 1000 * (query.get('delay') ?? 0), response, 200, next);
  },

  // the connection
  silent: () => {},
  drip: ({ response }) => {
    begin(response, MEGABYTE);
    const timer = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(timer));
  },
  reset: ({ response }) => {
    begin(response, 1000);
    setTimeout(() => reset(response.socket), 50); // once the part is on its way
  },
  partial: ({ response }) => {
    begin(response, 1000);
    setTimeout(() => response.socket?.end(), 50);
  },

  // a whole token, and a wrong end
  'too-short': ({ response }) => end(response, { 'Content-Length': 1000 }),
  unended: ({ response }) => end(response, { 'Content-Length': 1000 }, () => {}),
  'half-chunked': ({ response }) => end(response, { 'Transfer-Encoding': 'chunked' }),
  'bad-chunk': ({ response }) => end(response, { 'Transfer-Encoding': 'chunked' },
    () => response.socket?.end('no chunk\r\n')),

  'close-unanswered': ({ response }) => response.socket?.end(),
  'reset-unanswered': ({ response }) => reset(response.socket),

  // the size
  large: ({ response }) => response.end(Buffer.alloc(5 * MEGABYTE, ' ')),
  'large-chunked': ({ response }) => {
    for (let i = 0; i < 5; i++) response.write(Buffer.alloc(MEGABYTE, ' '));
    response.end();
  },
  'large-headers': ({ response }) => {
    for (let i = 0; i < 20; i++) response.setHeader(`X-Large-${i}`, 'x'.repeat(5000));
    json(response, 200, token());
  },
  limit: ({ response, query }) => response.end(Buffer.alloc(Number(query.get('bytes')), ' ')),

  // the encoding
  encoded: ({ response, query }) => {
    const text = query.has('bytes') ? Buffer.alloc(Number(query.get('bytes')), ' ')
      : JSON.stringify(token({ expires_in: 3600 }));
    const encode = { gzip: zlib.gzipSync, deflate: zlib.deflateSync, raw: zlib.deflateRawSync,
      br: zlib.brotliCompressSync };
    const names = query.get('as').split(' ');
    const body = names.reduce((bytes, name) => encode[name](bytes), text);
    response.writeHead(200, { 'Content-Encoding': names.join(', ').replace('raw', 'deflate') });
    response.end(body.subarray(0, query.get('cut') ?? body.length));
  },

  // the status
  status: ({ response, path, query }) => {
    const headers = {};
    if (query.has('retry_after')) headers['Retry-After'] = query.get('retry_after');
    if (query.has('retry_date')) {
      const when = Date.now() + Number(query.get('retry_date')) * 1000;
      headers['Retry-After'] = new Date(when).toUTCString();
    }
    json(response, Number(path[1]), {}, headers);
  },
  redirect: ({ response }) => {
    response.writeHead(302, { Location: '/token' });
    response.end();
  },
  'invalid-client': ({ response }) => json(response, 401, { error: 'invalid_client' },
    { 'WWW-Authenticate': 'Basic realm="fake"' }),
  'oauth-error': ({ response, query }) => json(response, Number(query.get('status') ?? 200), {
    error: query.get('error') ?? 'invalid_request',
    error_description: query.get('description') ?? undefined,
  }),
  'echo-error': ({ response, request, body }) => json(response, 400, {
    error: 'invalid_request',
    error_description: `\x1b[31m${request.headers.authorization}\r\n${body}\u0000\u009b`,
  }),

  // the body
  html: ({ response }) => {
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end('<!doctype html><title>Log in</title>');
  },
  empty: ({ response }) => response.end(),
  truncated: ({ response }) => response.end(JSON.stringify(token()).slice(0, -4)),
  array: ({ response }) => json(response, 200, [token()]),
  'no-access-token': ({ response }) =>
    json(response, 200, { token_type: 'Bearer', expires_in: 60 }),
  'token-type': ({ response, query }) =>
    json(response, 200, token({ token_type: query.get('is') })),
  'expires-in': ({ response, query }) => json(response, 200,
    query.has('is') ? token({ expires_in: JSON.parse(query.get('is')) }) : token()),
  headers: ({ response }) => {
    response.writeHead(200, [['X-Two', 'one'], ['X-Two', 'two'], ['X-Empty', ''], ['X-CaSe', ' v '],
      ['Set-Cookie', 'a=b']].flat());
    response.end('{}');
  },
};

const queued = ({ status, headers, body }) => ({ response }) => {
  response.writeHead(status, headers);
  response.end(body);
};

const choose = (path) => {
  if (path[0] !== 'token' || queue.length === 0) return { path, behave: behaviours[path[0]] };
  const next = queue.length > 1 ? queue.shift() : queue[0];
  if (typeof next !== 'string') return { path, behave: queued(next) };
  const url = new URL(next, 'http://queued');
  const named = url.pathname.slice(1).split('/');
  return { path: named, query: url.searchParams, behave: behaviours[named[0]] };
};

const read = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const record = (server, request, body) => requests.push({
  server, body, method: request.method, url: request.url, headers: request.headers,
  connection: sockets.get(request.socket.remotePort)?.number, // none once the client is gone
});

const answer = (server) => async (request, response) => {
  const body = (await read(request)).toString();
  record(server, request, body);
  const url = new URL(request.url, 'http://fake');
  const { path, query, behave } = choose(url.pathname.slice(1).split('/'));
  if (!behave) return json(response, 404, { message: 'no such behaviour' });
  const given = { request, response, body, path, query: query ?? url.searchParams };
  if (held && given.query.has('held')) held.push(() => behave(given));
  else behave(given);
};

// A forward proxy: absolute URLs, and CONNECT for TLS.
const loginMissing = (request) => proxyLogin !== undefined && request.headers['proxy-authorization']
  !== `Basic ${Buffer.from(proxyLogin).toString('base64')}`;

const forward = async (request, response) => {
  const body = await read(request);
  record('proxy', request, body.toString());
  if (loginMissing(request)) return json(response, 407, {}, { 'Proxy-Authenticate': 'Basic' });
  const onward = http.request(request.url, { method: request.method, headers: request.headers },
    (from) => {
      response.writeHead(from.statusCode, from.headers);
      from.pipe(response);
    });
  onward.on('error', () => response.destroy());
  onward.end(body);
};

const tunnel = (request, socket) => {
  record('proxy', request, '');
  if (loginMissing(request)) {
    return socket.end('HTTP/1.1 407 Login\r\n' +
      'Proxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n');
  }
  const [host, port] = request.url.split(':');
  const onward = net.connect(port, host, () => {
    socket.write('HTTP/1.1 200 Connected\r\n\r\n');
    onward.pipe(socket);
    socket.pipe(onward);
  });
  onward.on('error', () => socket.end('HTTP/1.1 502 Unreachable\r\nContent-Length: 0\r\n\r\n'));
  socket.on('close', () => onward.destroy());
};

const options = (name) => ({
  key: fs.readFileSync(`${certificates}/${name}.key`),
  cert: fs.readFileSync(`${certificates}/${name}.pem`),
});

const servers = { http: http.createServer(answer('http')), proxy: http.createServer(forward) };
servers.proxy.on('connect', tunnel);
if (certificates) {
  servers.https = https.createServer(options('leaf'), answer('https'));
  servers.mismatch = https.createServer(options('mismatch'), answer('mismatch'));
}

const controls = {
  requests: () => requests,
  connections: () => connections,
  open: () => open,
  clear: () => {
    requests = [];
    connections = tokens = 0;
    queue = [];
    held = [];
    proxyLogin = undefined;
  },
  // the answer's headers come as x-answer-NAME
  answer: (request, body, query) => {
    const headers = {};
    for (const [name, value] of Object.entries(request.headers)) {
      if (name.startsWith('x-answer-')) headers[name.slice('x-answer-'.length)] = value;
    }
    queue.push({ status: Number(query.get('status')), headers, body });
  },
  behave: (request, body) => queue.push(body.toString()),
  release: () => {
    held?.forEach((go) => go());
    held = undefined;
  },
  'proxy-login': (request, body) => { proxyLogin = body.toString(); },
  'close-connections': () =>
    Object.values(servers).forEach((server) => server.closeAllConnections()),
};

const control = http.createServer(async (request, response) => {
  const body = await read(request);
  const url = new URL(request.url, 'http://control');
  json(response, 200, controls[url.pathname.slice(1)](request, body, url.searchParams) ?? null);
});

const ports = {};
const everyone = { ...servers, control };
for (const [name, server] of Object.entries(everyone)) {
  server.keepAliveTimeout = 60000;
  if (name !== 'control') server.on('connection', accept);
  server.on('secureConnection', ignoreErrors);
  ports[name] = await listen(server);
}
export const ready = JSON.stringify(ports);

export async function stop() {
  for (const socket of sockets.values()) socket.destroy(); // tunnels too, which no server knows
  await Promise.all(Object.values(everyone).map(close));
}
