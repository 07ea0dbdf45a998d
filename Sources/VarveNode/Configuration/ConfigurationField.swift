// The vocabulary the schema is written in: kinds of values, keys, sections.

/// What a key takes: how it is read, what to say when it is something else, how a default is shown.
struct ValueKind<Value: Sendable>: Sendable {
    /// After "expected": `an integer from 0 to 65535`.
    var expected: String
    /// nil when the scalar is not of this kind. Paths need the source's directory.
    var read: @Sendable (ResolvedScalar, ConfigurationSource) -> Value?
    var show: @Sendable (Value) -> String
}

extension ValueKind where Value == String {
    /// A text that is not empty and has no control characters; `fits` may ask for more.
    static func text(
        _ expected: String = "a text", fits: @escaping @Sendable (String) -> Bool = { _ in true }
    ) -> Self {
        ValueKind(expected: expected) { scalar, _ in
            switch scalar {
            case .text(let text), .environment(_, let text):
                !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f } && fits(text)
                    ? text : nil
            default: nil
            }
        } show: {
            "`\($0)`"
        }
    }

    /// A relative path starts at the file's directory.
    static var path: Self {
        let plain = text()
        return ValueKind(expected: "a path") { scalar, source in
            guard let path = plain.read(scalar, source) else { return nil }
            return path.hasPrefix("/")
                ? path : source.directory + (path.hasPrefix("./") ? path.dropFirst(2) : path[...])
        } show: {
            "`\($0)`"
        }
    }
}

extension ValueKind where Value == Int {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        let expected =
            range.upperBound == .max
            ? "an integer from \(range.lowerBound)" : "an integer from \(range.lowerBound) to \(range.upperBound)"
        return ValueKind(expected: expected) { scalar, _ in
            let value: Int? =
                switch scalar {
                case .integer(let value): value
                case .environment(_, let text):
                    if case .integer(let value) = ResolvedScalar(plain: text) { value } else { nil }
                default: nil
                }
            return value.flatMap { range.contains($0) ? $0 : nil }
        } show: {
            "`\($0)`"
        }
    }

    /// At least `least` bytes.
    static func size(from least: Int = 1) -> Self {
        let range = least...(1 << 46)
        return ValueKind(expected: "a size of at least \(SizeText.format(least)): bytes, or with kB MB GB KiB MiB GiB")
        {
            scalar, _ in
            let value: Int? =
                switch scalar {
                case .integer(let value): value
                case .text(let text), .environment(_, let text): SizeText.parse(text)
                default: nil
                }
            return value.flatMap { range.contains($0) ? $0 : nil }
        } show: {
            "`\(SizeText.format($0))`"
        }
    }
}

extension ValueKind where Value == Duration {
    /// More than nothing, at most `most`; without it, at most ten years, which guards arithmetic and nobody will meet.
    static func duration(most: Duration? = nil) -> Self {
        let limit = most.map { ", at most \(DurationText.format($0))" } ?? ""
        let most = most ?? .seconds(3650 * 86_400)
        return ValueKind(expected: "a duration like PT1S, PT0.1S or P1DT4H, above PT0S\(limit)") { scalar, _ in
            switch scalar {
            case .text(let text), .environment(_, let text):
                DurationText.parse(text).flatMap { $0 > .zero && $0 <= most ? $0 : nil }
            default: nil
            }
        } show: {
            "`\(DurationText.format($0))`"
        }
    }
}

extension ValueKind where Value == Bool {
    static var boolean: Self {
        ValueKind(expected: "true or false") { scalar, _ in
            switch scalar {
            case .boolean(let value): value
            case .environment(_, "true"): true
            case .environment(_, "false"): false
            default: nil
            }
        } show: {
            "`\($0)`"
        }
    }
}

extension ValueKind where Value: RawRepresentable<String> & CaseIterable {
    static var choice: Self {
        ValueKind(expected: "one of " + Value.allCases.map(\.rawValue).joined(separator: ", ")) { scalar, _ in
            switch scalar {
            case .text(let text), .environment(_, let text): Value(rawValue: text)
            default: nil
            }
        } show: {
            "`\($0.rawValue)`"
        }
    }
}

/// A key of a section.
struct ConfigurationField: Sendable {
    enum Default: Sendable {
        case required
        /// How the documentation shows it, of a configuration whose variant is chosen.
        case shown(@Sendable (Configuration) -> String)
    }

    var key: String
    var expected: String
    var help: String
    var fallback: Default
    /// Its value never enters a message.
    var isSecret = false
    /// False when the scalar is not what is expected; then nothing is changed.
    var read: @Sendable (ResolvedScalar, ConfigurationSource, inout Configuration) -> Bool

    /// A key with a default.
    static func key<Value>(
        _ key: String, _ place: any WritableKeyPath<Configuration, Value> & Sendable, _ kind: ValueKind<Value>,
        _ help: String
    ) -> Self {
        var field = required(key, place, kind, help)
        field.fallback = .shown { kind.show($0[keyPath: place]) }
        return field
    }

    /// A key that may be left out; `default` says what happens then.
    static func optional<Value>(
        _ key: String, _ place: any WritableKeyPath<Configuration, Value?> & Sendable, _ kind: ValueKind<Value>,
        default text: String, secret: Bool = false, _ help: String
    ) -> Self {
        ConfigurationField(
            key: key, expected: kind.expected, help: help, fallback: .shown { _ in text }, isSecret: secret
        ) { scalar, source, configuration in
            guard let value = kind.read(scalar, source) else { return false }
            configuration[keyPath: place] = value
            return true
        }
    }

    static func required<Value>(
        _ key: String, _ place: any WritableKeyPath<Configuration, Value> & Sendable, _ kind: ValueKind<Value>,
        _ help: String
    ) -> Self {
        ConfigurationField(key: key, expected: kind.expected, help: help, fallback: .required) {
            scalar, source, configuration in
            guard let value = kind.read(scalar, source) else { return false }
            configuration[keyPath: place] = value
            return true
        }
    }
}

/// A top-level key: one set of keys, or several of which a tag picks one.
struct ConfigurationSection: Sendable {
    struct Variant: Sendable {
        /// `!Kafka`; nil for a section without variants.
        var tag: String?
        var help: String
        var fields: [ConfigurationField]
        /// Keys of the design that this version does not carry out.
        var unsupported: [String] = []
        /// Makes the configuration one of this variant, with its defaults.
        var choose: @Sendable (inout Configuration) -> Void = { _ in }
    }

    var key: String
    var variants: [Variant]
}
