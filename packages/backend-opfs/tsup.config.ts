import { readFile } from 'node:fs/promises'

import { library } from '../../tooling/tsup.ts'

export default library({
  entry: ['src/index.ts', 'src/opfs-worker.ts', 'src/start-worker.ts'],
  esbuildPlugins: [
    {
      // Bundlers want the name of a worker's script in full, and esbuild leaves URLs as they are.
      name: 'worker-url',
      setup: (build) =>
        build.onLoad({ filter: /start-worker\.ts$/ }, async ({ path }) => ({
          contents: (await readFile(path, 'utf8')).replace(`./opfs-worker.ts'`, `./opfs-worker.js'`),
          loader: 'ts',
        })),
    },
  ],
})
