import { buildPath } from '../../src/index.ts'

// Reads a file with the threads.
const { cid } = await buildPath(process.argv[2] ?? '')
process.stdout.write(`${cid}\n`)
