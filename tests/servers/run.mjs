// Runs servers of this folder, as many as are asked for in one process: to start node and to load
// what they stand on takes longer than many a spec. Each is a module that is loaded anew for each
// server, with the settings in its URL, and exports `ready`, which says where it is, and stop().
//
//   node run.mjs oidc_provider?port=9000   writes its `ready`, a line, to the file of READY_FILE
//   node run.mjs                           ... the URL of a control port, for tests/support:
//     POST /oidc_provider?token_lifetime=5   starts one; JSON: { "number": 1, "ready": "..." }
//     POST /stop?number=1                    its ports are closed when the answer comes

import { createServer } from 'node:http';
import { listen, say } from './ports.mjs';

const servers = [];

async function start(name, settings) {
  settings.set('number', servers.length + 1); // no two modules have one URL
  const server = await import(`./${name}.mjs?${settings}`);
  return { number: servers.push(server), ready: server.ready };
}

async function stop(number) {
  await servers[number - 1].stop();
  return null;
}

async function control(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://control');
  try {
    const result = pathname === '/stop' ? await stop(searchParams.get('number'))
      : await start(pathname.slice(1), searchParams);
    response.end(JSON.stringify(result));
  } catch (error) {
    response.writeHead(500).end(String(error.stack));
  }
}

const [single] = process.argv.slice(2);
if (single) {
  const [name, settings] = single.split('?');
  say((await start(name, new URLSearchParams(settings))).ready);
} else {
  say(`http://127.0.0.1:${await listen(createServer(control))}`);
}
