/**
 * A recording as one channel of samples from -1 to 1, as the model takes it. Decoded and mixed by the browser, aside from the page.
 *
 * @param rate - Hertz.
 * @throws {DOMException} The browser cannot decode it.
 */
export async function samplesOf(recording: Blob, rate: number): Promise<Float32Array<ArrayBuffer>> {
  // It decodes to the rate of its context.
  const decoding = new OfflineAudioContext(1, 1, rate)
  const sound = await decoding.decodeAudioData(await recording.arrayBuffer())
  if (sound.numberOfChannels === 1) return sound.getChannelData(0)
  const mixing = new OfflineAudioContext(1, sound.length, rate)
  const source = new AudioBufferSourceNode(mixing, { buffer: sound })
  source.connect(mixing.destination)
  source.start()
  return (await mixing.startRendering()).getChannelData(0)
}
