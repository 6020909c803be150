import { library } from '../../tooling/tsup.ts'

export default library({ entry: ['src/index.ts', 'src/backend.ts', 'src/conformance.ts', 'src/fs.ts'] })
