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
    const all = { ...report, backends: [...report.backends, ...named] }
    await printer.result(toJson(all), toText(all))
  },
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
