import { join } from 'node:path'

// Holds the index as one does that makes it anew, until it is killed.
const [directory = ''] = process.argv.slice(2)
const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
const lock = new DatabaseSync(join(directory, 'index.sqlite-lock'))
lock.exec('BEGIN EXCLUSIVE')
process.stdout.write(`${JSON.stringify({ type: 'alone' })}\n`)
setInterval(() => lock.isTransaction, 1000)
