import { library } from '../../tooling/tsup.ts'

// What a thread and a process run are files of their own: they are started by their address.
export default library({
  platform: 'node',
  entry: {
    index: 'src/index.ts',
    'worker-thread': 'src/workers/worker-thread.ts',
    'probe-child': 'src/providers/probe-child.ts',
  },
})
