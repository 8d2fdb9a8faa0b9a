// SPDX-License-Identifier: MIT
// node's own server, with an answer of 612 bytes.
const body = 'x'.repeat(612)
const server = require('http').createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/html', 'Content-Length': 612 })
  response.end(body)
})
server.listen(0, '127.0.0.1', () => console.log(`listening at http://127.0.0.1:${server.address().port}/`))
