// The vocabulary the schema is written in: kinds of values, keys, sections.

/// What a key takes: how it is read, which values it allows, what to say otherwise, how a default is shown.
struct ValueKind<Value: Sendable>: Sendable {
    /// After "expected": `an integer from 0 to 65535`.
    var expected: String
    /// Holds for values from code as well.
    var allows: @Sendable (Value) -> Bool
    var show: @Sendable (Value) -> String
    /// nil when the scalar is of another kind.
    private let parse: @Sendable (ResolvedScalar, ConfigurationSource) -> Value?

    init(
        expected: String, allows: @escaping @Sendable (Value) -> Bool = { _ in true },
        show: @escaping @Sendable (Value) -> String,
        parse: @escaping @Sendable (ResolvedScalar, ConfigurationSource) -> Value?
    ) {
        self.expected = expected
        self.allows = allows
        self.show = show
        self.parse = parse
    }

    /// nil when the scalar is not what is expected. Paths need the source's directory.
    func read(_ scalar: ResolvedScalar, _ source: ConfigurationSource) -> Value? {
        parse(scalar, source).flatMap { allows($0) ? $0 : nil }
    }
}

extension ValueKind where Value == String {
    /// A text that is not empty and has no control characters; `fits` may ask for more.
    static func text(
        _ expected: String = "a text", fits: @escaping @Sendable (String) -> Bool = { _ in true }
    ) -> Self {
        ValueKind(
            expected: expected,
            allows: { text in
                !text.isEmpty && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f } && fits(text)
            },
            show: { "`\($0)`" },
            parse: { scalar, _ in scalar.textual })
    }

    /// A relative path starts at the file's directory.
    static var path: Self {
        let plain = text()
        return ValueKind(expected: "a path", allows: plain.allows, show: plain.show) { scalar, source in
            guard let path = plain.read(scalar, source) else { return nil }
            return path.hasPrefix("/")
                ? path : source.directory + (path.hasPrefix("./") ? path.dropFirst(2) : path[...])
        }
    }
}

extension ValueKind where Value == Int {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        ValueKind(
            expected: "an integer from \(range.lowerBound) to \(range.upperBound)", allows: range.contains,
            show: { "`\($0)`" }
        ) { scalar, _ in
            switch scalar {
            case .integer(let value): value
            case .environment(_, let text):
                if case .integer(let value) = ResolvedScalar(plain: text) { value } else { nil }
            default: nil
            }
        }
    }

    /// At least `least` bytes; at most 64 TiB, which guards arithmetic and nobody will meet.
    static func size(from least: Int = 1) -> Self {
        ValueKind(
            expected: "a size of at least \(SizeText.format(least)): bytes, or with kB MB GB KiB MiB GiB",
            allows: (least...(1 << 46)).contains, show: { "`\(SizeText.format($0))`" }
        ) { scalar, _ in
            if case .integer(let value) = scalar { value } else { scalar.textual.flatMap(SizeText.parse) }
        }
    }
}

extension ValueKind where Value == Duration {
    /// More than nothing, at most `most`; without it, at most ten years, which guards arithmetic and nobody will meet.
    static func duration(most: Duration? = nil) -> Self {
        let limit = most.map { ", at most \(DurationText.format($0))" } ?? ""
        let most = most ?? .seconds(3650 * 86_400)
        return ValueKind(
            expected: "a duration like PT1S, PT0.1S or P1DT4H, above PT0S\(limit)",
            allows: { $0 > .zero && $0 <= most },
            show: { "`\(DurationText.format($0))`" }, parse: { scalar, _ in scalar.textual.flatMap(DurationText.parse) }
        )
    }
}

extension ValueKind where Value == Bool {
    static var boolean: Self {
        ValueKind(expected: "true or false", show: { "`\($0)`" }) { scalar, _ in
            switch scalar {
            case .boolean(let value): value
            case .environment(_, "true"): true
            case .environment(_, "false"): false
            default: nil
            }
        }
    }
}

extension ValueKind where Value: RawRepresentable<String> & CaseIterable {
    static var choice: Self {
        ValueKind(
            expected: "one of " + Value.allCases.map(\.rawValue).joined(separator: ", "), show: { "`\($0.rawValue)`" },
            parse: { scalar, _ in scalar.textual.flatMap(Value.init) })
    }
}

extension ResolvedScalar {
    /// A text of the file or of the environment.
    fileprivate var textual: String? {
        switch self {
        case .text(let text), .environment(_, let text): text
        default: nil
        }
    }
}

/// A key of a section.
struct ConfigurationField: Sendable {
    /// What stands behind the key.
    enum Form: Sendable {
        /// False when the scalar is not what is expected; then nothing is changed.
        case scalar(@Sendable (ResolvedScalar, ConfigurationSource, inout Configuration) -> Bool)
        /// Names with a scalar each, taken as texts.
        case texts(@Sendable ([String: String], ConfigurationSource, inout Configuration) -> Void)
        /// Names with a section each, of the keys that are given for that name.
        case sections(@Sendable (_ name: String) -> [ConfigurationField])
    }

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
    var form: Form
    /// Whether a configuration made in code has an allowed value here.
    var allows: @Sendable (Configuration) -> Bool

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
            key: key, expected: kind.expected, help: help, fallback: .shown { _ in text }, isSecret: secret,
            form: .scalar { scalar, source, configuration in
                guard let value = kind.read(scalar, source) else { return false }
                configuration[keyPath: place] = value
                return true
            },
            allows: { $0[keyPath: place].map(kind.allows) ?? true })
    }

    static func required<Value>(
        _ key: String, _ place: any WritableKeyPath<Configuration, Value> & Sendable, _ kind: ValueKind<Value>,
        _ help: String
    ) -> Self {
        ConfigurationField(
            key: key, expected: kind.expected, help: help, fallback: .required,
            form: .scalar { scalar, source, configuration in
                guard let value = kind.read(scalar, source) else { return false }
                configuration[keyPath: place] = value
                return true
            },
            allows: { kind.allows($0[keyPath: place]) })
    }

    /// Names and their texts, which may be secrets; `directory` takes where relative paths in them start.
    static func texts(
        _ key: String, _ place: any WritableKeyPath<Configuration, [String: String]> & Sendable,
        directory: any WritableKeyPath<Configuration, String> & Sendable, expected: String, _ help: String
    ) -> Self {
        ConfigurationField(
            key: key, expected: expected, help: help, fallback: .shown { _ in "none" }, isSecret: true,
            form: .texts { texts, source, configuration in
                configuration[keyPath: place] = texts
                configuration[keyPath: directory] = source.directory
            },
            allows: { $0[keyPath: place].allSatisfy { !$0.key.isEmpty && !$0.value.utf8.contains(0) } })
    }

    /// Sections by name. `names` tells which ones a configuration has.
    static func sections(
        _ key: String, expected: String, _ help: String, names: @escaping @Sendable (Configuration) -> [String],
        fields: @escaping @Sendable (_ name: String) -> [ConfigurationField]
    ) -> Self {
        ConfigurationField(
            key: key, expected: expected, help: help, fallback: .shown { _ in "none" }, isSecret: true,
            form: .sections(fields),
            allows: { configuration in
                names(configuration).allSatisfy { name in
                    isSectionName(name) && fields(name).allSatisfy { $0.allows(configuration) }
                }
            })
    }

    static func isSectionName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 64
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
                default: false
                }
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
        /// Makes the configuration one of this variant, with its defaults.
        var choose: @Sendable (inout Configuration) -> Void = { _ in }
        /// Whether a configuration is of this variant.
        var isChosen: @Sendable (Configuration) -> Bool = { _ in true }
    }

    var key: String
    var variants: [Variant]
}
