import { library } from '../../tooling/tsup.ts'

// The thread's code is a file of its own: it is started by its address.
export default library({
  platform: 'node',
  entry: { index: 'src/index.ts', 'file-worker': 'src/workers/file-worker.ts' },
})
