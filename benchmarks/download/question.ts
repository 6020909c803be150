import { readFile, rm, writeFile } from 'node:fs/promises'

import { startPeer, type PeerProcess } from '../harness/peer-process.ts'
import type { Job, Question, Workspace } from '../harness/types.ts'
import type { Made, Prepared } from './revisions.ts'

const MB = 1e6
/** Downloads of a smaller file, each with failures of its own: of one request, as `@huggingface/hub` makes, seven of ten do not break off. */
const TIMES = 16

interface Mirror {
  path: string
  sha256: string
  bytesPerSecond: number
  failures: number
}

export const question: Question = {
  name: 'download',
  title: 'a file over HTTP from mirrors on loopback, durable',
  rounds: 3,
  async prepare(workspace) {
    const { path, bytes: size, sha256 } = await workspace.file()
    const small = await workspace.file(Math.ceil(size / TIMES))
    const addressFile = workspace.path('mirrors')
    const held = workspace.path('held')
    const made = workspace.path('revisions.json')
    const folder = workspace.path('revisions')
    const prepare = workspace.script('prepare', new URL('prepare.ts', import.meta.url), {
      path,
      part: small.path,
      size,
      held,
      folder,
      made,
    })
    await workspace.once({ ...prepare, reads: [path, small.path] })
    const { root, outboard, part, before, changed, longer }: Prepared = JSON.parse(await readFile(made, 'utf8'))

    /** A job whose mirrors run for as long as it does. */
    const from = (mirrors: readonly Mirror[], job: Job): Job => {
      let peers: PeerProcess[] = []
      let runs = 0
      return {
        ...job,
        reads: mirrors.map((mirror) => mirror.path),
        before: async () => {
          await job.before?.()
          runs += 1
          peers = await Promise.all(
            mirrors.map((mirror, index) => startMirror(workspace, mirror, `${job.name} ${index} ${runs}`)),
          )
          await writeFile(addressFile, peers.map(({ address }) => address).join('\n'))
        },
        after: async () => {
          for (const peer of peers) await peer.stop()
          await job.after?.()
        },
      }
    }
    const ours = (name: string, parameters: object, scope = 'input'): Job =>
      workspace.script(
        name,
        new URL('ours.ts', import.meta.url),
        { addressFile, size, sha256, ...parameters },
        { output: workspace.path('received'), scope },
      )
    const revised = (name: string, next: Made): Job =>
      from(
        [{ path: next.path, sha256: next.sha256, bytesPerSecond: 100 * MB, failures: 0 }],
        ours(
          name,
          {
            size: next.size,
            sha256: next.sha256,
            root: next.root,
            outboard: next.outboard,
            next: next.table,
            before: before.table,
            held,
          },
          name,
        ),
      )

    const faulty: Mirror = { path, sha256, bytesPerSecond: 100 * MB, failures: 0.3 }
    const half: Mirror = { path, sha256, bytesPerSecond: 50 * MB, failures: 0 }
    const hub = workspace.script(
      '@huggingface/hub',
      new URL('hub.ts', import.meta.url),
      { addressFile, size: small.bytes, times: TIMES },
      { output: workspace.path('received'), scope: 'part' },
    )
    const often = { size: small.bytes, sha256: small.sha256, times: TIMES, ...part }
    const faultyPart: Mirror = { ...faulty, path: small.path, sha256: small.sha256 }
    const seconds = size / (90 * MB)
    return {
      expected: { 'input sha256': sha256, 'part sha256': small.sha256 },
      jobs: [
        from([faulty], ours('faulty mirror', { root, outboard })),
        from([faulty], ours('first contact', {})),
        from([faultyPart], ours(`${TIMES} downloads`, often, 'part')),
        from([faultyPart], hub),
        from([half, half], ours('two mirrors', { root, outboard })),
        revised('5 % of tensors', changed),
        revised('100 bytes more', longer),
      ],
      targets: [
        {
          type: 'at-most',
          label: 'bytes, 3 of 10 answers break off',
          job: 'faulty mirror',
          figure: 'ratio',
          atMost: 1.1,
          unit: 'ratio',
        },
        {
          type: 'at-most',
          label: 'bytes, the SHA-256 alone known',
          job: 'first contact',
          figure: 'ratio',
          atMost: 1.1,
          unit: 'ratio',
        },
        { type: 'at-most', label: 'two of 50 MB/s: 90 MB/s', job: 'two mirrors', figure: 'work', atMost: seconds },
        {
          type: 'at-most',
          label: '5 % of tensors changed',
          job: '5 % of tensors',
          figure: 'ratio',
          atMost: 0.06,
          unit: 'ratio',
        },
        {
          type: 'at-most',
          label: '100 bytes inserted',
          job: '100 bytes more',
          figure: 'ratio',
          atMost: 0.01,
          unit: 'ratio',
        },
        ...[`${TIMES} downloads`, '@huggingface/hub'].map((job) => ({
          type: 'at-most' as const,
          label: `bytes of ${TIMES} downloads: ${job === '@huggingface/hub' ? job : 'ours'}`,
          job,
          figure: 'ratio',
          unit: 'ratio' as const,
        })),
        { type: 'faster', label: '@huggingface/hub', ours: `${TIMES} downloads`, peers: ['@huggingface/hub'] },
      ],
      done: async () => {
        for (const each of [held, folder]) await rm(each, { recursive: true, force: true })
      },
    }
  },
}

function startMirror(workspace: Workspace, mirror: Mirror, seed: string): Promise<PeerProcess> {
  const url = new URL('mirror.ts', import.meta.url)
  const [program, ...args] = workspace.script('mirror', url, { ...mirror, seed }).command(false)
  return startPeer([program, ...args])
}
