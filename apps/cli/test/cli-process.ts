// The command line as a process of its own, from the sources: `node --conditions=@x/source cli-process.ts ...`.
import { main } from '@x/cli'

await main()
