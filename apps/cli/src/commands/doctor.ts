import { statfs } from 'node:fs/promises'

import { loadConfiguration } from '@x/configuration'
import { decideGates, isOn, readVariable, withConfiguredGates, type Environment } from '@x/gating'
import { assertRequired, openBackend, parseBackendSpec, type BackendKind } from '@x/node'

import type { Command, Context, Values } from '../command.ts'
import { configuredTiers } from '../compose-configured.ts'
import { formatBytes } from '../format.ts'
import { noOperands } from '../operands.ts'
import { reportError } from '../report-error.ts'
import { configOption } from './config.ts'
import { AlreadyReportedError } from './verify.ts'

interface Finding {
  /** A `problem` is of what was asked for; a `warning` may be meant so. */
  severity: 'problem' | 'warning'
  what: string
  fix: string
}

/** Less than this is soon full: one model of some size. */
const LEAST_FREE_BYTES = 5 * 2 ** 30

/** The variable that asks for a backend, what it is behind, and what to do where it does not answer. */
const ASKED: readonly { kind: BackendKind; feature: 'kubo' | 'gateway' | 's3'; variable: string; fix: string }[] = [
  { kind: 'kubo', feature: 'kubo', variable: 'IPFS_ACCELERATE_KUBO_URL', fix: 'start it (ipfs daemon)' },
  { kind: 'gateway', feature: 'gateway', variable: 'IPFS_ACCELERATE_GATEWAY_URLS', fix: 'correct the address' },
  { kind: 'static', feature: 'gateway', variable: 'IPFS_ACCELERATE_STATIC_URL', fix: 'correct the address' },
  { kind: 's3', feature: 's3', variable: 'IPFS_ACCELERATE_S3_PLACE', fix: 'correct the place, the server or the keys' },
]

export const doctor: Command = {
  name: 'doctor',
  operands: '',
  summary: 'look for what is wrong with the configuration, the store and the backends, and say what would mend it',
  options: {},
  needsStore: true,
  readsConfiguration: false,
  notes: [
    'Backends are probed that a variable names and whose gate is open. The exit code is 1 where something asked for is broken, and 0 with warnings alone.',
    'Stored bytes are not hashed again; verify does that. Where each gate stands, status shows.',
  ].join('\n'),
  async run(context, operands, values) {
    noOperands(operands)
    const findings: Finding[] = []
    const environment = await configured(context, values, findings)
    await checkGates(context, environment, findings)
    await checkStore(context, findings)
    await checkBackends(context, environment, findings)
    const text = findings.map(({ severity, what, fix }) => `${severity}: ${what}\n  fix: ${fix}`)
    await context.printer.result({ findings }, text.length === 0 ? 'nothing is wrong' : text.join('\n'))
    const problems = findings.filter(({ severity }) => severity === 'problem')
    if (problems.length > 0) throw new AlreadyReportedError(new Error(`${problems.length} problems`))
  },
}

/** @returns The environment with what the configuration says, or as it is where that is wrong. */
async function configured({ io }: Context, values: Values, findings: Finding[]): Promise<Environment> {
  const fix = 'edit the file, or ipfs-accelerate config set, which changes one key'
  const onWarning = (what: string): void => void findings.push({ severity: 'warning', what, fix })
  try {
    const { environment } = io
    const configuration = await loadConfiguration({ file: configOption(values), environment, onWarning })
    configuredTiers(configuration)
    return withConfiguredGates(environment, configuration.gates)
  } catch (error) {
    findings.push({ severity: 'problem', what: reportError(error, io.signal).message, fix })
    return io.environment
  }
}

async function checkGates({ io }: Context, environment: Environment, findings: Finding[]): Promise<void> {
  try {
    for (const what of decideGates({ environment }).warnings)
      findings.push({ severity: 'warning', what, fix: 'rename the variable, or unset it' })
    const named = ASKED.filter(({ variable }) => readVariable(environment, variable) !== undefined)
    assertRequired(
      named.map(({ kind }) => kind),
      { environment },
    )
  } catch (error) {
    const fix = 'correct what the message names, or set that gate to prefer'
    findings.push({ severity: 'problem', what: reportError(error, io.signal).message, fix })
  }
}

async function checkStore({ io, storage, signal }: Context, findings: Finding[]): Promise<void> {
  try {
    const store = await storage()
    const { available, reason } = await store.status({ signal })
    if (!available)
      findings.push({
        severity: 'problem',
        what: `store: ${reason ?? 'not available'}`,
        fix: 'ipfs-accelerate rebuild',
      })
    const { bavail, bsize } = await statfs(store.directory)
    const free = bavail * bsize
    if (free >= LEAST_FREE_BYTES) return
    const what = `the disk of ${store.directory} has ${formatBytes(free)} free`
    findings.push({ severity: 'warning', what, fix: 'gc frees what nothing keeps; --store names another disk' })
  } catch (error) {
    signal.throwIfAborted()
    const { code, message } = reportError(error, io.signal)
    // The gates have been reported.
    if (code === 'GATED') return
    const fix = 'correct --store or IPFS_ACCELERATE_CACHE_DIR, or who may write there'
    findings.push({ severity: 'problem', what: `store: ${message}`, fix })
  }
}

async function checkBackends(context: Context, environment: Environment, findings: Finding[]): Promise<void> {
  const { io, storage, signal } = context
  for (const { kind, feature, variable, fix } of ASKED) {
    if (readVariable(environment, variable) === undefined) continue
    try {
      if (!isOn(decideGates({ environment }), feature)) continue
      const spec = parseBackendSpec(kind, environment)
      const backend = await openBackend(spec, { local: storage, environment, signal, stallTimeoutMs: 10_000 })
      try {
        const { available, reason } = await backend.source.status({ signal })
        if (!available) throw new Error(`${backend.label}: ${reason ?? 'not available'}`)
      } finally {
        await backend.close()
      }
    } catch (error) {
      signal.throwIfAborted()
      const { code, message } = reportError(error, io.signal)
      const off = `set ${variable} to another, or switch it off: ipfs-accelerate config set gates.${feature} off`
      const mend = code === 'UNSUPPORTED' ? 'install the package that the message names' : fix
      findings.push({ severity: 'problem', what: `${variable}: ${message}`, fix: `${mend}; ${off}` })
    }
  }
}
