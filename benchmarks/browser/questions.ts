import type { Job, Plan, Question, Target } from '../harness/types.ts'
import { findChromium } from './chromium.ts'
import { preparePages, type Device, type Visits } from './pages.ts'

const DEVICES: readonly Device[] = ['webgpu', 'wasm']

/** What is asked of a task of the page: one that is longer is felt. Seconds; the browser tells of none below it. */
const LONGEST_TASK = 0.05

const open: Question = {
  name: 'browser/open',
  title: 'a model of 512 MiB in a page that was visited before, from navigation to loaded',
  rounds: 3,
  prepare: (workspace) =>
    inChromium(async (chromium) => {
      const pages = await preparePages(workspace, chromium)
      const jobs = visits(pages, (device) => ({ device, visit: 'open' }))
      const targets = DEVICES.flatMap((device): Target[] => {
        const [ours, theirs] = [`ours, ${device}`, `theirs, ${device}`]
        const memory = device === 'webgpu' ? { atMost: 0.15 } : {}
        return [
          {
            type: 'faster',
            label: `loaded, ${device}`,
            ours,
            peers: [theirs],
            ...(device === 'webgpu' && { atLeast: 2 }),
          },
          {
            type: 'faster',
            label: `first answer, ${device}`,
            ours: { job: ours, figure: 'answered' },
            peers: [{ job: theirs, figure: 'answered' }],
          },
          {
            type: 'flat',
            label: `private memory, ${device}`,
            figure: 'rendererMB',
            small: theirs,
            large: ours,
            ...memory,
          },
          { type: 'at-most', label: `longest task, ${device}`, job: ours, figure: 'longest', atMost: LONGEST_TASK },
          { type: 'at-most', label: `sent again, ${device}`, job: ours, figure: 'sentMB', atMost: 0, unit: 'MB' },
        ]
      })
      const columns = [
        { label: 'first answer', figure: 'answered', unit: 'seconds' },
        { label: 'renderer, private', figure: 'rendererMB', unit: 'MB' },
        { label: 'GPU process, private', figure: 'gpuMB', unit: 'MB' },
        { label: 'longest task', figure: 'longest', unit: 'seconds' },
        { label: 'requests', figure: 'requests', unit: 'count' },
        { label: 'MB sent', figure: 'sentMB', unit: 'count' },
      ] as const
      return { expected: {}, jobs, targets, tables: [{ title: 'visit', columns }], done: pages.close }
    }),
}

const speed: Question = {
  name: 'browser/speed',
  title: 'embeddings and tokens, one after another, in a page',
  rounds: 3,
  prepare: (workspace) =>
    inChromium(async (chromium) => {
      const pages = await preparePages({ ...workspace, bytes: 0 }, chromium)
      const counts = { webgpu: { texts: 20, tokens: 100 }, wasm: { texts: 200, tokens: 100 } }
      const jobs = visits(pages, (device) => ({ device, visit: 'speed', ...counts[device] }))
      const targets = DEVICES.flatMap((device): Target[] => {
        const [ours, theirs] = [`ours, ${device}`, `theirs, ${device}`]
        return [
          ...['embedding', 'token'].map((figure): Target => ({
            type: 'faster',
            label: `one ${figure}, ${device}`,
            ours: { job: ours, figure },
            peers: [{ job: theirs, figure }],
            atLeast: 1,
          })),
          { type: 'at-most', label: `longest task, ${device}`, job: ours, figure: 'longest', atMost: LONGEST_TASK },
        ]
      })
      const columns = [
        { label: 'embeddings/s', figure: 'embeddingsPerSecond', unit: 'count' },
        { label: 'tokens/s', figure: 'tokensPerSecond', unit: 'count' },
        { label: 'renderer, private', figure: 'rendererMB', unit: 'MB' },
        { label: 'longest task', figure: 'longest', unit: 'seconds' },
      ] as const
      return { expected: {}, jobs, targets, tables: [{ title: 'visit', columns }], done: pages.close }
    }),
}

export const questions: readonly Question[] = [open, speed]

function visits({ visit }: Visits, askedOn: (device: Device) => Parameters<Visits['visit']>[2]): Job[] {
  return DEVICES.flatMap((device) =>
    (['ours', 'theirs'] as const).map((page) => visit(`${page}, ${device}`, page, askedOn(device))),
  )
}

/** Where there is no browser, the answer says why. */
async function inChromium(prepare: (path: string) => Promise<Plan>): Promise<Plan> {
  const found = findChromium()
  if ('path' in found) return prepare(found.path)
  const nothing: Target = { type: 'faster', label: 'not measured', ours: 'ours', peers: [], absent: found.why }
  return { expected: {}, jobs: [], targets: [nothing] }
}
