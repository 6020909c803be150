import { library } from '../../tooling/tsup.ts'

export default library({ platform: 'node', entry: ['src/index.ts', 'src/register.ts'] })
