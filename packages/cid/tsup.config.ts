import { readFile } from 'node:fs/promises'

import { library } from '../../tooling/tsup.ts'

export default library({
  entry: [
    'src/index.ts',
    'src/hash-platform-node.ts',
    'src/hash-platform-web.ts',
    'src/hash-worker-node.ts',
    'src/hash-worker-web.ts',
  ],
  // The first is resolved where the package is used, by Node or by a page's bundler. The others are imported by the
  // modules for Node alone: the type check of the rest knows none of them.
  external: ['#hash-platform', /^node:/],
  esbuildPlugins: [
    {
      // Bundlers want the name of a worker's script in full, and esbuild leaves URLs as they are.
      name: 'worker-url',
      setup: (build) =>
        build.onLoad({ filter: /hash-platform-(node|web)\.ts$/ }, async ({ path }) => ({
          contents: (await readFile(path, 'utf8')).replace(/(\.\/hash-worker-\w+)\.ts'/, "$1.js'"),
          loader: 'ts',
        })),
    },
  ],
})
