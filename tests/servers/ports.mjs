// Of the servers beside: their ports on the loopback address, how those are closed, and where it is
// said that they answer.

import { renameSync, writeFileSync } from 'node:fs';

// The port that a server has, if 0 is asked for one of the system's choice.
export function listen(server, port = 0) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server.address().port));
  });
}

// A line, to who waits for it at the file of READY_FILE.
export function say(ready) {
  const file = process.env.READY_FILE;
  writeFileSync(`${file}.new`, `${ready}\n`);
  renameSync(`${file}.new`, file);
}

// With its connections, also those that wait for an answer.
export function close(server) {
  return new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
}
