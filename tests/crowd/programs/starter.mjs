// Starts the status line of examples/status-line at a sign: what it imports is loaded, then a line is awaited on standard
// input, so that many of them begin in the same moment. Usage: node starter.mjs PROGRAM
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const program = pathToFileURL(process.argv[2])
createRequire(program)('forebay')
// The first use loads Node's HTTP client.
new Request('http://127.0.0.1/')
console.log('ready')
const sign = createInterface({ input: process.stdin })
await new Promise(resolve => sign.once('line', resolve))
sign.close()
await import(program)
