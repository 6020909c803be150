import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

import { systemCode } from './disk-error.ts'

/** Who wrote a temp file, a lease or a lock: enough to tell later whether that process still runs. */
export interface ProcessIdentity {
  machine: string
  /** Changes when the machine starts anew; empty where the system does not say. */
  boot: string
  /** Processes of one scope see each other's ids and starts; a container is a scope of its own. */
  scope: string
  pid: number
  /**
   * Tells apart processes that had one id after another. On Linux when it started, in clock ticks since the machine did: no
   * clock that is set, or stops in suspend, changes it. Elsewhere a random word, which each thread has its own of.
   */
  life: string
}

/** `unknown`: it cannot be seen from here, or its id may be another one's by now. */
export type Liveness = 'alive' | 'dead' | 'unknown'

/** What is `unknown` is given up when its file was not touched for this long. */
const GIVEN_UP_AFTER_MS = 24 * 60 * 60 * 1000

/** Of this thread, shared by all copies of this package. */
const WORD = Symbol.for('@x/backend-fs/process')

const orEmpty = (read: () => string): string => {
  try {
    return read().trim()
  } catch {
    // Not Linux, or not to be seen.
    return ''
  }
}

export function thisProcess(): ProcessIdentity {
  const machine = `${hostname()} ${orEmpty(() => readFileSync('/etc/machine-id', 'utf8'))}`.trim()
  return {
    machine,
    boot: orEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    // Where clocks are a container's own, so are the starts.
    scope: ['pid', 'time'].map((name) => orEmpty(() => readlinkSync(`/proc/self/ns/${name}`))).join(' '),
    pid: process.pid,
    life: startOf(process.pid) ?? ownWord(),
  }
}

/** @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html - `starttime`, field 22. */
function startOf(pid: number): string | undefined {
  const stat = orEmpty(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  // The name of the program is field 2, in brackets, and may hold anything.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}

function ownWord(): string {
  const known: unknown = Reflect.get(globalThis, WORD)
  if (typeof known === 'string') return known
  const word = randomBytes(8).toString('hex')
  Reflect.set(globalThis, WORD, word)
  return word
}

/** Machine, boot and scope in eight letters, for file names. */
const scopeMark = ({ machine, boot, scope }: ProcessIdentity): string =>
  createHash('sha256').update(`${machine}\n${boot}\n${scope}`).digest('hex').slice(0, 8)

/** What the names of all its files begin with. */
const nameOf = (owner: ProcessIdentity): string => `${owner.pid}-${scopeMark(owner)}-${owner.life}`
const NAMED = /^((\d+)-([0-9a-f]{8})-([0-9a-f]+))-/

/** A file name that no other writer uses. */
export const uniqueName = (self: ProcessIdentity): string => `${nameOf(self)}-${randomBytes(8).toString('hex')}`

/** The part of a file's name that is the same for all files of one process; `undefined` for what no process named. */
export const writerOf = (name: string): string | undefined => NAMED.exec(name)?.[1]

/** Like `livenessOf`, of the process that a file is named after. */
export function livenessOfName(name: string, self: ProcessIdentity): Liveness {
  const [, , pid, mark, life = ''] = NAMED.exec(name) ?? []
  return mark === scopeMark(self) ? livenessHere({ pid: Number(pid), life }, self) : 'unknown'
}

export function livenessOf(owner: ProcessIdentity, self: ProcessIdentity): Liveness {
  if (owner.machine !== self.machine) return 'unknown'
  if (owner.boot !== self.boot) return 'dead'
  return owner.scope === self.scope ? livenessHere(owner, self) : 'unknown'
}

/** Of a process of this scope. */
function livenessHere({ pid, life }: Pick<ProcessIdentity, 'pid' | 'life'>, self: ProcessIdentity): Liveness {
  if (pid === self.pid && life === self.life) return 'alive'
  if (!isRunning(pid)) return 'dead'
  const start = startOf(pid)
  if (start === undefined) return 'unknown'
  return start === life ? 'alive' : 'dead'
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // EPERM: it runs, as another user.
    return systemCode(cause) !== 'ESRCH'
  }
}

/** Whether nobody will go on with a file. @param idleMs - How long it was not touched. */
export const isGivenUp = (liveness: Liveness, idleMs: number): boolean =>
  liveness === 'dead' || (liveness === 'unknown' && idleMs > GIVEN_UP_AFTER_MS)
