import { kuboAdd, kuboTarget } from '../harness/kubo.ts'
import type { Question } from '../harness/types.ts'

export const question: Question = {
  name: 'only-hash',
  title: 'the CID of a file, nothing stored, unixfs-v1-2025',
  async prepare(workspace) {
    const { path, bytes, sha256 } = await workspace.file()
    const importer = new URL('importer.ts', import.meta.url)
    return {
      expected: { sha256 },
      jobs: [
        workspace.script('ours', new URL('ours.ts', import.meta.url), { path }),
        workspace.script('importer, 1 MiB reads', importer, { path, readBytes: 2 ** 20 }),
        workspace.script('importer, default reads', importer, { path }),
        workspace.script('bare loop', new URL('../harness/bare-loop.ts', import.meta.url), { path, bytes }),
        {
          name: 'openssl dgst',
          command: () => ['openssl', 'dgst', '-sha256', '-r', path],
          reads: [path],
          result: async (stdout) => ({ evidence: { sha256: stdout.split(' ')[0] ?? '' } }),
        },
        ...kuboAdd(workspace, { name: 'kubo --only-hash', args: ['--only-hash', path], durable: 'none' }),
      ],
      targets: [
        { type: 'faster', label: 'importer, 1 MiB reads', ours: 'ours', peers: ['importer, 1 MiB reads'], atLeast: 3 },
        {
          type: 'faster',
          label: 'importer, default reads',
          ours: 'ours',
          peers: ['importer, default reads'],
          atLeast: 5,
        },
        { type: 'faster', label: 'bare loop (the limit)', ours: 'ours', peers: ['bare loop'], atLeast: 0.9 },
        { type: 'faster', label: 'openssl dgst -sha256', ours: 'ours', peers: ['openssl dgst'] },
        kuboTarget(workspace, 'Kubo add --only-hash', ['kubo --only-hash'], 1.2),
      ],
    }
  },
}
