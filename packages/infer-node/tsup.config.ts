import { library } from '../../tooling/tsup.ts'

// The thread's code is a file of its own: it is started by its address.
export default library({
  platform: 'node',
  entry: { index: 'src/index.ts', 'worker-thread': 'src/workers/worker-thread.ts' },
})
