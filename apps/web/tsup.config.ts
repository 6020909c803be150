import { library } from '../../tooling/tsup.ts'

// What Node programs import; Vite writes the page itself to `dist/page` afterwards.
export default library({ platform: 'node' })
