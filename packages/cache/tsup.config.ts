import { library } from '../../tooling/tsup.ts'

// The disk is Node's; the rest runs anywhere.
export default library({ entry: ['src/index.ts', 'src/disk.ts'], external: [/^node:/] })
