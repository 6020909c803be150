import type { FigureTable, Workspace } from '../harness/types.ts'
import type { Phase } from '../infer/callers.ts'
import { countOf } from '../infer/models.ts'
import type { Lengths } from '../infer/texts.ts'

export const CLIENTS = [1, 8, 64] as const
export const ALL_LENGTHS: readonly Lengths[] = ['16', '128', 'mixed']

/** As many texts as there are for 64 clients, of fewer half of them. */
export const phasesOf = (workspace: Workspace, lengths: Lengths): Phase[] => {
  const count = countOf(workspace, lengths)
  return CLIENTS.map((many) => ({ callers: many, count: many === 64 ? count : Math.ceil(count / 2) }))
}

export const tableOf = (many: number): FigureTable => ({
  title: `${many} clients`,
  columns: [
    { label: 'texts a second', figure: `${many} perSecond`, unit: 'count' },
    { label: 'p50', figure: `${many} p50`, unit: 'seconds' },
    { label: 'p99', figure: `${many} p99`, unit: 'seconds' },
    { label: 'processor, a text', figure: `${many} allCpu`, unit: 'seconds' },
    { label: 'its main thread', figure: `${many} mainCpu`, unit: 'seconds' },
  ],
})

export const MEMORY: FigureTable = {
  title: 'of all clients',
  columns: [
    { label: 'private memory', figure: 'privateMB', unit: 'MB' },
    { label: 'same bits', figure: 'sameBits', unit: 'ratio' },
  ],
}
