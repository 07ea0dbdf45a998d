/// `varve-fuzz`: feeds every decoder of bytes from outside changed inputs; nothing may trap, and what is accepted must
/// hold together. Not shipped.
///
///     varve-fuzz                              ten million inputs for each decoder
///     varve-fuzz record json --inputs 50000   two of them, fewer
///     varve-fuzz --seed 7                     other inputs
///     varve-fuzz record --hex 5652…           one input again, as a failure prints it
///     varve-fuzz --list                       names, the slowest first: for as many processes as there are cores

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

@main
enum Main {
    static let inputsDefault = 10_000_000
    static let usage = "usage: varve-fuzz [DECODER …] [--inputs N] [--seed S] [--hex BYTES] | --list"

    static func main() {
        var names: [String] = []
        var inputs = inputsDefault
        var seed: UInt64 = 1
        var hex: [UInt8]?
        var rest = CommandLine.arguments.dropFirst()
        while let word = rest.popFirst() {
            switch word {
            case "--inputs":
                guard let value = rest.popFirst().flatMap({ Int($0) }), value > 0 else { return fail(usage, 64) }
                inputs = value
            case "--seed":
                guard let value = rest.popFirst().flatMap({ UInt64($0) }) else { return fail(usage, 64) }
                seed = value
            case "--hex":
                guard let value = rest.popFirst().flatMap({ [UInt8](hex: $0) }) else { return fail(usage, 64) }
                hex = value
            case "--list":
                let slow = Decoders.slow.filter { name in Decoders.all.contains { $0.name == name } }
                let others = Decoders.all.map(\.name).filter { !slow.contains($0) }
                return print((slow + others).joined(separator: "\n"))
            case _ where word.hasPrefix("-"): return fail(usage, 64)
            default: names.append(word)
            }
        }
        let all = Decoders.all
        if let unknown = names.first(where: { name in !(all + [Decoders.planted]).contains { $0.name == name } }) {
            return fail("no decoder \(unknown); there are: \(all.map(\.name).joined(separator: " "))", 64)
        }
        LastInput.watch()
        let chosen = names.isEmpty ? all : (all + [Decoders.planted]).filter { names.contains($0.name) }
        var isBroken = false
        for decoder in chosen {
            LastInput.begin(decoder)
            do {
                if let hex {
                    LastInput.note(decoder, seed, 0, hex)
                    print("\(decoder.name): \(try decoder.decode(hex) ? "accepted" : "refused")")
                } else {
                    isBroken = try !fuzz(decoder, seed: seed, inputs: inputs) || isBroken
                }
            } catch {
                let reason = (error as? Broken)?.reason ?? "\(error)"
                fail(
                    "BROKEN in \(decoder.name): \(reason)\nagain: varve-fuzz \(decoder.name) --hex \(last(decoder, seed).hex)",
                    1)
            }
        }
        if isBroken { exit(1) }
    }

    private static func fuzz(_ decoder: Decoder, seed: UInt64, inputs: Int) throws -> Bool {
        var total = Run()
        var at = 0
        while at < inputs {
            let end = min(inputs, at + 100_000)
            current = at
            let part = try decoder.run(seed: seed, at..<end)
            total.inputs += part.inputs
            total.accepted += part.accepted
            total.seconds += part.seconds
            at = end
        }
        let name = decoder.name + String(repeating: " ", count: max(1, 16 - decoder.name.count))
        print(
            "\(name)\(total.inputs) inputs from \(decoder.source.rawValue), \(total.accepted) accepted, "
                + "\(Int(Double(total.inputs) / max(total.seconds, 1e-9))) a second")
        fflush(nil)
        // A corpus that is not accepted fuzzes nothing.
        guard total.accepted > 0 else {
            print("\(decoder.name): nothing was accepted, not even the right inputs")
            return false
        }
        return true
    }

    private nonisolated(unsafe) static var current = 0

    /// The input that was found broken: made again.
    private static func last(_ decoder: Decoder, _ seed: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        for number in current... {
            decoder.input(number, of: seed, into: &bytes)
            do { _ = try decoder.decode(bytes) } catch { return bytes }
        }
        return bytes
    }

    private static func fail(_ message: String, _ code: Int32) {
        let line = Array((message + "\n").utf8)
        _ = write(2, line, line.count)
        exit(code)
    }
}
