// Ends before the guard that it starts can have read its first line.
import { openGuard } from '../../guarded.ts'

const [folder = '', command = ''] = process.argv.slice(2)
const guard = openGuard({ folder, env: process.env, onEvent: () => {} })
guard.run(process.execPath, ['-e', command])
process.exit()
