// Runs one program after another for the process that started it, and outlives that process by just so long as it takes
// to end the program and remove the folder. However the process ends, SIGKILL included, its end of the channel closes.
//
//   guard.mjs FOLDER
//
// Takes { type: 'run', command, args } and { type: 'kill', signal }; sends 'started', 'line', 'failed' and 'ended'.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'

const [folder = ''] = process.argv.slice(2)
let child

// Its own end comes by the channel alone: a Ctrl-C is for the process that is watched.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})

function send(message) {
  // When nobody is left to read it, `disconnect` follows.
  if (process.connected) process.send(message, () => {})
}

function run(command, args) {
  const started = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true })
  child = started
  for (const stream of ['stdout', 'stderr']) {
    createInterface({ input: started[stream] }).on('line', (text) => send({ type: 'line', stream, text }))
  }
  started.once('spawn', () => send({ type: 'started', pid: started.pid }))
  started.once('error', (error) => send({ type: 'failed', message: error.message }))
  // After the last line.
  started.once('close', (code, signal) => {
    if (child === started) child = undefined
    send({ type: 'ended', code, signal })
  })
}

process.on('message', (message) => {
  if (message.type === 'run') run(message.command, message.args)
  else child?.kill(message.signal)
})

process.once('disconnect', () => void end())

async function end() {
  if (child) {
    const ended = once(child, 'close')
    child.kill('SIGKILL')
    await ended
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  process.exit()
}
