import type { TestContext } from 'vitest'

/**
 * The address of a hub that is not ours, for tests that ask one: `HF_ENDPOINT`. They run with
 * `IPFS_ACCELERATE_TEST_LIVE_HUB=1` alone, and are skipped elsewhere.
 *
 * @throws It is to be asked, and `HF_ENDPOINT` does not say which.
 */
export function liveHubOrSkip(
  context: Pick<TestContext, 'skip'>,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  if (environment['IPFS_ACCELERATE_TEST_LIVE_HUB'] !== '1') {
    context.skip('asks a live hub: IPFS_ACCELERATE_TEST_LIVE_HUB=1 and HF_ENDPOINT let it')
  }
  const { HF_ENDPOINT: endpoint } = environment
  if (!endpoint) throw new Error('HF_ENDPOINT is wanted: the hub to ask')
  return endpoint
}
