// Of the servers beside: their ports on the loopback address, and how those are closed.

// The port that a server has, if 0 is asked for one of the system's choice.
export function listen(server, port = 0) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server.address().port));
  });
}

// With its connections, also those that wait for an answer.
export function close(server) {
  return new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
}
