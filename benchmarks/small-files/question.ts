import { kuboAdd, kuboTarget } from '../harness/kubo.ts'
import type { Question } from '../harness/types.ts'

export const question: Question = {
  name: 'small-files',
  title: '10,000 files of 1 to 16 KiB as one directory, durable, acknowledged once',
  async prepare(workspace) {
    const { path, manifest } = await workspace.directory(workspace.entries ?? 10_000)
    const job = (name: string, script: string, parameters: object = {}) =>
      workspace.script(
        name,
        new URL(script, import.meta.url),
        { path, ...parameters },
        { output: workspace.path('added') },
      )
    const cacaches = [8, 64].map((atOnce) => job(`cacache + syncfs, ${atOnce} at once`, 'cacache.ts', { atOnce }))
    const args = ['--recursive', '--pin=true', path]
    const kubos = [
      ...kuboAdd(workspace, { name: 'kubo add + syncfs', args, durable: 'syncfs' }),
      ...kuboAdd(workspace, { name: 'kubo add, flatfs sync', args, durable: 'flatfs' }),
    ]
    const importer = 'importer + blockstore-fs + syncfs'
    return {
      expected: { manifest },
      jobs: [job('ours', 'ours.ts'), job(importer, 'importer.ts'), ...cacaches, ...kubos],
      targets: [
        { type: 'faster', label: importer, ours: 'ours', peers: [importer], atLeast: 8 },
        {
          type: 'faster',
          label: 'cacache + syncfs',
          ours: 'ours',
          peers: cacaches.map(({ name }) => name),
          atLeast: 8,
        },
        kuboTarget(
          workspace,
          'Kubo add',
          kubos.map(({ name }) => name),
          3,
        ),
      ],
    }
  },
}
