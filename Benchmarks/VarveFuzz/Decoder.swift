/// Something that turns bytes from outside into values, with right inputs to begin from.

struct Decoder {
    let name: String
    /// Where its bytes come from.
    let source: Source
    let corpus: [[UInt8]]
    var words: [[UInt8]] = []
    /// Puts lengths and checksums right, so that a change is not stopped by the first check. Applied to three of four.
    var mend: ((inout [UInt8]) -> Void)?
    /// True: it was accepted. Throws only `Broken`: what was accepted does not hold together.
    let decode: ([UInt8]) throws -> Bool

    enum Source: String {
        case disk, log, http, config
    }
}

/// Nothing trapped, and yet it is wrong.
struct Broken: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

struct Run {
    var inputs = 0
    var accepted = 0
    var seconds = 0.0
}

extension Decoder {
    /// Feeds it the inputs numbered `numbers`. What is being decoded stands in `LastInput` for the signal handler.
    func run(seed: UInt64, _ numbers: Range<Int>) throws -> Run {
        var run = Run()
        let began = ContinuousClock.now
        var input: [UInt8] = []
        for number in numbers {
            self.input(number, of: seed, into: &input)
            LastInput.note(self, seed, number, input)
            run.inputs += 1
            if try decode(input) { run.accepted += 1 }
        }
        let time = (ContinuousClock.now - began).components
        run.seconds = Double(time.seconds) + Double(time.attoseconds) * 1e-18
        return run
    }

    /// The first ones are the corpus itself: it must be accepted.
    func input(_ number: Int, of seed: UInt64, into bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        guard number >= corpus.count else {
            bytes += corpus[number]
            return
        }
        var mutator = Mutator(
            generator: Generator(seed: seed ^ UInt64(number) &* 0xd129_0d5c_3f8b_6a1d), words: words)
        bytes += corpus[mutator.generator.below(corpus.count)]
        mutator.mutate(&bytes, other: corpus[mutator.generator.below(corpus.count)])
        if let mend, mutator.generator.below(4) != 0 { mend(&bytes) }
    }
}

extension [UInt8] {
    var hex: String {
        map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    init?(hex text: String) {
        let digits = Array<UInt8>(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        self = []
        for i in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[i...i + 1], as: UTF8.self), radix: 16) else { return nil }
            append(byte)
        }
    }
}
