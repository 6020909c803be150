import { list, nullable, number, optional, record, tensor, text } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { candidateLabels, hypothesisTemplate, topK } from './options.ts'
import { labels, type Labels } from './outputs.ts'
import type { Task } from './task.ts'

/** Begin and end of a chunk in seconds; one that the sound cuts off has no end. */
type Transcript = { text: string; chunks?: { text: string; timestamp: (number | null)[] }[] | undefined }

/** Of sound, or into sound. */
export interface AudioTasks {
  'automatic-speech-recognition': Task<'audio', Transcript>
  'audio-classification': Task<'audio', Labels>
  /** In the order of the labels that were given. */
  'zero-shot-audio-classification': Task<'audio', Labels>
  /** `[samples]` of -1 to 1, one channel; hertz. */
  'text-to-audio': Task<'text' | 'speech', { audio: Tensor; sampling_rate: number }>
}

export const AUDIO_TASKS: Readonly<AudioTasks> = {
  'automatic-speech-recognition': {
    inputs: ['audio'],
    output: record({
      text,
      chunks: optional(list(record({ text, timestamp: list(nullable(number)) }))),
    }),
    classes: ['AutoModelForSpeechSeq2Seq', 'AutoModelForCTC'],
    options: {
      language: { type: 'text', about: 'spoken language, for models of several' },
      task: { type: 'text', values: ['transcribe', 'translate'], about: 'of multilingual Whisper' },
      return_timestamps: { type: 'boolean', default: false, about: 'Whisper: give the time of each segment' },
      chunk_length_s: { type: 'number', min: 0, default: 0, about: 'Whisper: window in seconds; 0 is the whole' },
      stride_length_s: { type: 'number', min: 0, about: 'Whisper: overlap in seconds; a sixth of the window' },
    },
  },
  'audio-classification': {
    inputs: ['audio'],
    output: labels,
    classes: ['AutoModelForAudioClassification'],
    options: { top_k: topK(5) },
  },
  'zero-shot-audio-classification': {
    inputs: ['audio'],
    output: labels,
    classes: ['AutoModel'],
    options: { candidate_labels: candidateLabels, hypothesis_template: hypothesisTemplate('This is a sound of {}.') },
  },
  'text-to-audio': {
    inputs: ['text', 'speech'],
    output: record({ audio: tensor({ type: 'float32', dims: ['samples'] }), sampling_rate: number }),
    classes: ['AutoModelForTextToWaveform', 'AutoModelForTextToSpectrogram'],
    options: {
      num_inference_steps: { type: 'integer', min: 1, about: 'Supertonic: more is better and slower; 5' },
      speed: { type: 'number', min: 0.01, about: 'Supertonic: of speech; 1.05' },
    },
  },
}
