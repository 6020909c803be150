import { BACKEND_FORMS, type GateReport, type StorageReport } from '@x/node'
import { isStorageError, type StoreStatus } from '@x/storage-core'

import type { Command, Context } from '../command.ts'
import { formatTable } from '../format.ts'
import { noOperands } from '../operands.ts'

export const status: Command = {
  name: 'status',
  operands: '',
  summary: 'probe the backends; show every gate, its position and why',
  options: { backend: { type: 'string', metavar: 'B', help: `probe this one too: ${BACKEND_FORMS.join(', ')}` } },
  async run(context, operands) {
    noOperands(operands)
    const { storage, printer, signal } = context
    const report = await (await storage()).describe({ signal })
    const named = await statusOfBackend(context)
    const configured = await statusOfComposed(context)
    const all = { ...report, backends: [...(configured ?? report.backends), ...named] }
    await printer.result(toJson(all), toText(all))
  },
}

/** Of what the configuration names, the local store first, with its circuit; what a gate has left out, with the reason. */
async function statusOfComposed({ composed, signal }: Context): Promise<StoreStatus[] | undefined> {
  if (!composed) return undefined
  const storage = await composed()
  const { leftOut } = storage
  const probed = (await storage.probe({ signal })).map(({ circuit, role, details, ...found }) => ({
    ...found,
    details: { ...details, role, ...(circuit && circuit.state !== 'closed' && { circuit: circuit.state }) },
  }))
  const probedAt = new Date().toISOString()
  const left = leftOut.map(({ name, reason }) => ({
    name,
    available: false,
    reason,
    probedAt,
    probeMs: 0,
    details: {},
  }))
  return [...probed, ...left]
}

/** Of the one that was named. That it is not there is an answer. */
async function statusOfBackend({ named: spec, backend, signal }: Context): Promise<StoreStatus[]> {
  const started = performance.now()
  const probedAt = new Date().toISOString()
  try {
    const named = await backend()
    return named ? [{ ...(await named.source.status({ signal })), name: named.kind }] : []
  } catch (error) {
    if (!isStorageError(error) || error.code !== 'BACKEND') throw error
    const probeMs = performance.now() - started
    return [{ name: spec?.kind ?? 'backend', available: false, reason: error.message, probedAt, probeMs, details: {} }]
  }
}

function toJson({ backends, gates, ci, warnings }: StorageReport): object {
  return {
    backends,
    gates: gates.map(({ feature, position, source, reason, implemented }) => ({
      feature,
      position,
      source,
      reason,
      implemented,
    })),
    ci,
    warnings,
  }
}

function toText({ backends, gates, warnings }: StorageReport): string {
  const parts = [
    'backends',
    formatTable(backends.map(backendRow)),
    '',
    'gates',
    formatTable(gates.map(gateRow)),
    ...warnings.map((warning) => `warning: ${warning}`),
  ]
  return parts.join('\n')
}

function backendRow({ name, available, reason, probeMs, details }: StoreStatus): string[] {
  const facts = Object.entries(details).map(([key, value]) => `${key}=${value}`)
  return [
    '',
    name,
    available ? 'available' : `not available: ${reason ?? ''}`,
    `${probeMs.toFixed(1)} ms`,
    facts.join(' '),
  ]
}

const gateRow = ({ feature, position, implemented, reason }: GateReport): string[] => [
  '',
  feature,
  position,
  implemented ? reason : `${reason} Nothing is behind it in this version.`,
]
