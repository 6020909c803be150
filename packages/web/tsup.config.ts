import { library } from '../../tooling/tsup.ts'

export default library({
  entry: ['src/index.ts', 'src/install.ts', 'src/service-worker.ts', 'src/vite.ts'],
  // The plugin runs in the bundler.
  external: [/^node:/],
})
