/** What models of speech take. Hertz. */
const SAMPLE_RATE = 16_000

/**
 * A recording as one channel of samples from -1 to 1.
 *
 * @throws {DOMException} The browser cannot decode it.
 */
export async function samplesOf(recording: Blob): Promise<Float32Array<ArrayBuffer>> {
  // It decodes to the rate of its context.
  const context = new OfflineAudioContext(1, 1, SAMPLE_RATE)
  const sound = await context.decodeAudioData(await recording.arrayBuffer())
  const samples = new Float32Array(sound.length)
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    for (const [index, value] of sound.getChannelData(channel).entries()) {
      samples[index] = (samples[index] ?? 0) + value / sound.numberOfChannels
    }
  }
  return samples
}
