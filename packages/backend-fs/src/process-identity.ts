import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

import { systemCode } from './disk-error.ts'

/** Who wrote a temp file, a lease or a lock: enough to tell later whether that process still runs. */
export interface ProcessIdentity {
  machine: string
  /** Changes when the machine starts anew; empty where the system does not say. */
  boot: string
  /** Processes of one scope see each other's ids; a container is a scope of its own. */
  scope: string
  pid: number
  /** When the process started. Milliseconds since 1970, give or take a second. */
  startedMs: number
}

/** `unknown`: of a machine or container whose processes cannot be seen from here. */
export type Liveness = 'alive' | 'dead' | 'unknown'

/** What cannot be seen is given up when its file was not touched for this long. */
export const GIVEN_UP_AFTER_MS: number = 24 * 60 * 60 * 1000

// Clocks are set and `process.uptime` is coarse; two processes with one id are not born this close.
export const START_TOLERANCE_MS = 5000

const orEmpty = (read: () => string): string => {
  try {
    return read().trim()
  } catch {
    // Not Linux: the fields stay empty and equal, and the process id alone decides.
    return ''
  }
}

export function thisProcess(): ProcessIdentity {
  const machine = `${hostname()} ${orEmpty(() => readFileSync('/etc/machine-id', 'utf8'))}`.trim()
  return {
    machine,
    boot: orEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    scope: orEmpty(() => readlinkSync('/proc/self/ns/pid')),
    pid: process.pid,
    startedMs: Math.round(Date.now() - process.uptime() * 1000),
  }
}

/** Machine, boot and scope in eight letters, for file names. */
export const scopeMark = ({ machine, boot, scope }: ProcessIdentity): string =>
  createHash('sha256').update(`${machine}\n${boot}\n${scope}`).digest('hex').slice(0, 8)

/** A file name that no other writer uses. */
export const uniqueName = (self: ProcessIdentity): string =>
  `${self.pid}-${scopeMark(self)}-${randomBytes(8).toString('hex')}`

export function livenessOf(owner: ProcessIdentity, self: ProcessIdentity): Liveness {
  if (owner.machine !== self.machine) return 'unknown'
  if (owner.boot !== self.boot) return 'dead'
  if (owner.scope !== self.scope) return 'unknown'
  if (owner.pid === self.pid) {
    return Math.abs(owner.startedMs - self.startedMs) < START_TOLERANCE_MS ? 'alive' : 'dead'
  }
  return isRunning(owner.pid) ? 'alive' : 'dead'
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // EPERM: it runs, as another user.
    return systemCode(cause) !== 'ESRCH'
  }
}
