/// The text of `sasl.jaas.config`: a login module, a control flag, options, a semicolon, as Kafka's own parser reads it
/// (words; quoted texts with escapes; `//` and `/* */` comments).
struct JaasConfiguration: Equatable {
    var module: String
    var options: [String: String]

    struct Fault: Error, Equatable {
        /// Never holds text of an option, which may be a secret.
        var reason: String
    }

    init(_ text: String) throws(Fault) {
        var tokens = Tokens(text)
        guard case .word(let module)? = try tokens.next() else { throw Fault(reason: "names no login module") }
        guard case .word(let flag)? = try tokens.next() else {
            throw Fault(reason: "the control flag is missing: required")
        }
        guard ["required", "requisite", "sufficient", "optional"].contains(flag.lowercased()) else {
            throw Fault(reason: "behind the login module stands no control flag (required)")
        }
        self.module = module
        options = [:]
        while let token = try tokens.next() {
            if token == .mark(";") {
                guard try tokens.next() == nil else { throw Fault(reason: "holds more than one login module") }
                return
            }
            guard case .word(let name) = token, try tokens.next() == .mark("="),
                case .word(let value)? = try tokens.next()
            else { throw Fault(reason: "an option is not written name=\"value\"") }
            options[name] = value
        }
        throw Fault(reason: "the semicolon at the end is missing")
    }

    private enum Token: Equatable {
        case word(String)
        case mark(Unicode.Scalar)
    }

    private struct Tokens {
        private var rest: Substring.UnicodeScalarView

        init(_ text: String) { rest = Substring(text).unicodeScalars }

        mutating func next() throws(Fault) -> Token? {
            skipBlanks()
            guard let first = rest.first else { return nil }
            switch first {
            case "=", ";":
                rest.removeFirst()
                return .mark(first)
            case "\"", "'": return .word(try quoted())
            default:
                let word = rest.prefix {
                    !$0.properties.isWhitespace && $0 != "=" && $0 != ";" && $0 != "\"" && $0 != "'"
                }
                rest = rest[word.endIndex...]
                return .word(String(word))
            }
        }

        private mutating func skipBlanks() {
            while true {
                rest = rest.drop { $0.value <= 0x20 }
                if rest.starts(with: "//".unicodeScalars) {
                    rest = rest.drop { $0 != "\n" && $0 != "\r" }
                } else if rest.starts(with: "/*".unicodeScalars) {
                    rest = rest.dropFirst(2)
                    while !rest.isEmpty, !rest.starts(with: "*/".unicodeScalars) { rest.removeFirst() }
                    rest = rest.dropFirst(2)
                } else {
                    return
                }
            }
        }

        private mutating func quoted() throws(Fault) -> String {
            let mark = rest.removeFirst()
            var text = String.UnicodeScalarView()
            while let scalar = rest.popFirst(), scalar != "\n", scalar != "\r" {
                if scalar == mark { return String(text) }
                guard scalar == "\\", let escape = rest.popFirst() else {
                    text.append(scalar)
                    continue
                }
                switch escape {
                case "a": text.append("\u{07}")
                case "b": text.append("\u{08}")
                case "f": text.append("\u{0c}")
                case "n": text.append("\n")
                case "r": text.append("\r")
                case "t": text.append("\t")
                case "v": text.append("\u{0b}")
                case "0"..."7": text.append(octal(escape))
                default: text.append(escape)
                }
            }
            throw Fault(reason: "a quotation mark is not closed")
        }

        /// Up to three digits, at most \377.
        private mutating func octal(_ first: Unicode.Scalar) -> Unicode.Scalar {
            var value = first.value - 0x30
            var left = first <= "3" ? 2 : 1
            while left > 0, let digit = rest.first, ("0"..."7").contains(digit) {
                value = value * 8 + digit.value - 0x30
                rest.removeFirst()
                left -= 1
            }
            return Unicode.Scalar(UInt8(value))
        }
    }
}
