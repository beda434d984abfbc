// Runs on the audio thread, at 8 kHz: the microphone's sound becomes telephone audio (mu-law), and that sound again.
const FRAME = 160, BIAS = 132, CLIP = 32635, KEPT = 8000; // what waits to be heard is never more than a second

function encode(sample) {
  let value = Math.round(Math.max(-1, Math.min(1, sample)) * 32767), exponent = 7;
  const sign = value < 0 ? 0x80 : 0;
  value = Math.min(Math.abs(value), CLIP) + BIAS;
  for (let bit = 0x4000; exponent > 0 && !(value & bit); bit >>= 1) exponent -= 1;
  return ~(sign | (exponent << 4) | ((value >> (exponent + 3)) & 0x0f)) & 0xff;
}

const DECODED = Float32Array.from({ length: 256 }, (_, byte) => {
  const code = ~byte & 0xff, magnitude = ((((code & 0x0f) << 3) + BIAS) << ((code >> 4) & 7)) - BIAS;
  return (code & 0x80 ? -magnitude : magnitude) / 32768;
});

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Uint8Array(FRAME);
    this.filled = 0;
  }

  process([input]) {
    for (const sample of input[0] || []) {
      this.frame[this.filled] = encode(sample);
      this.filled += 1;
      if (this.filled === FRAME) {
        this.port.postMessage(this.frame.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

class Earpiece extends AudioWorkletProcessor {
  constructor() {
    super();
    this.waiting = [];
    this.port.onmessage = ({ data }) => {
      for (const byte of data) this.waiting.push(DECODED[byte]);
      if (this.waiting.length > KEPT) this.waiting.splice(0, this.waiting.length - KEPT);
    };
  }

  process(_inputs, [output]) {
    const heard = this.waiting.splice(0, output[0].length);
    for (const channel of output) channel.set(heard);
    return true;
  }
}

registerProcessor("microphone", Microphone);
registerProcessor("earpiece", Earpiece);
