// Starts a daemon, says which, and then does what its argument says: `wait`, `throw`, or `end` with nothing left to do.
import { findKubo } from '../../find-kubo.ts'
import { startKubo } from '../../start-kubo.ts'

const kubo = findKubo()
if (!kubo) throw new Error('no Kubo')
const { pid, repo } = await startKubo(kubo)
process.send?.({ pid, repo })
if (process.argv[2] === 'throw') throw new Error('a mistake')
if (process.argv[2] === 'end') process.disconnect()
