import type { GateReport, StorageReport } from '@x/node'
import type { StoreStatus } from '@x/storage-core'

import type { Command } from '../command.ts'
import { formatTable } from '../format.ts'
import { noOperands } from '../operands.ts'

export const status: Command = {
  name: 'status',
  operands: '',
  summary: 'probe the backends; show every gate, its position and why',
  options: {},
  async run({ storage, printer, signal }, operands) {
    noOperands(operands)
    const report = await (await storage()).describe({ signal })
    await printer.result(toJson(report), toText(report))
  },
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
