import { readdirSync, readlinkSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'

/** Connections that are opened at a time: the queue of a socket that listens is finite. */
const AT_A_TIME = 100
const POLL_MS = 20
/** What has not come to pass by then never will. */
const AT_MOST_MS = 60_000

/** So many connections, each answered once and kept alive. */
export async function openIdle(url: string, count: number): Promise<Socket[]> {
  const idle: Socket[] = []
  while (idle.length < count) {
    const many = Math.min(AT_A_TIME, count - idle.length)
    idle.push(...(await Promise.all(Array.from({ length: many }, () => openOne(url)))))
  }
  return idle
}

async function openOne(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const answered = Promise.withResolvers<void>()
  const socket = connect(Number(port), hostname)
  socket.once('error', answered.reject)
  socket.once('close', () => answered.reject(new Error('the server closed a connection without an answer')))
  socket.once('data', () => answered.resolve())
  socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await answered.promise
  // The server may close it when it was idle for long: that is counted.
  socket.on('error', () => undefined)
  return socket.resume()
}

/** How many of them are open. */
export const openOf = (sockets: readonly Socket[]): number =>
  sockets.filter(({ readyState }) => readyState === 'open').length

/**
 * Waits until a process has no more sockets than these.
 *
 * @throws {Error} It never does, or it is gone.
 */
export async function untilSockets(pid: number, most: number): Promise<void> {
  const since = performance.now()
  for (let many = socketsOf(pid); many > most; many = socketsOf(pid)) {
    if (performance.now() - since > AT_MOST_MS)
      throw new Error(`the server never closed ${many - most} of its sockets, ${most} of which it had before`)
    await setTimeout(POLL_MS)
  }
}

/**
 * Sockets that a process has, those that are no connection among them.
 *
 * @throws {Error} There is no such process any more.
 */
export function socketsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`
  return descriptorsIn(folder).filter((descriptor) => targetOf(`${folder}/${descriptor}`).startsWith('socket:')).length
}

function descriptorsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isAbsent(error)) throw new Error('the process of the server is gone', { cause: error })
    throw error
  }
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link)
  } catch (error) {
    // It was closed meanwhile.
    if (isAbsent(error)) return ''
    throw error
  }
}

const isAbsent = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'
