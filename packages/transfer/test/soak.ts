/** How often a test that draws at random goes round: a little in `npm test`, long in `npm run test:soak`. */
export function soak<T>(quick: T, long: T): T {
  return process.env.IPFS_ACCELERATE_TEST_SOAK === '1' ? long : quick
}
