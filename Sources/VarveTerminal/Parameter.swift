// What a command takes: arguments by place, options by name. A parameter is declared once, as a typed constant; the
// command's table holds it, and the invocation is asked with it.

/// The values a parameter takes.
package struct ValueType<Value: Sendable>: Sendable {
    /// What the shell completes.
    package enum Completion: Sendable { case nothing, files, directories, choices }

    /// After "expected", in messages; nil when every text will do.
    package var expected: String?
    package var choices: [String]
    package var completion: Completion
    package var parse: @Sendable (String) -> Value?
    var show: @Sendable (Value) -> String

    package init(
        expected: String?, choices: [String] = [], completion: Completion = .nothing,
        show: @escaping @Sendable (Value) -> String = { "\($0)" }, parse: @escaping @Sendable (String) -> Value?
    ) {
        self.expected = expected
        self.choices = choices
        self.completion = completion
        self.show = show
        self.parse = parse
    }
}

extension ValueType where Value == String {
    package static var text: Self { ValueType(expected: nil) { $0 } }
    package static var file: Self { ValueType(expected: nil, completion: .files) { $0 } }
    package static var directory: Self { ValueType(expected: nil, completion: .directories) { $0 } }
}

extension ValueType where Value == Int {
    package static func integer(_ range: ClosedRange<Int> = 0...Int.max) -> Self {
        let bounds =
            range.upperBound == .max ? "from \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
        return ValueType(expected: "an integer \(bounds)") { text in
            Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }
}

extension ValueType where Value: RawRepresentable<String> & CaseIterable {
    package static var choice: Self {
        let names = Value.allCases.map(\.rawValue)
        return ValueType(
            expected: "one of \(names.joined(separator: ", "))", choices: names, completion: .choices,
            show: { $0.rawValue }, parse: { Value(rawValue: $0) })
    }
}

/// A declared parameter without its type: what help, completion and parsing need.
package struct ParameterSpec: Sendable {
    package enum Form: Sendable, Equatable { case flag, option, argument }
    package enum Arity: Sendable { case required, optional, repeated }

    package var form: Form
    package var arity: Arity
    /// `config` of `--config`; of an argument what stands in angle brackets.
    package var name: String
    package var short: Character?
    /// What stands for the value: `F` of `--config <F>`.
    package var placeholder: String
    package var help: String
    /// The variable that is asked when the option is not given.
    package var environment: String?
    package var fallback: String?
    package var expected: String?
    package var choices: [String]
    package var completesFiles: Bool
    package var completesDirectories: Bool
    /// Its value is never repeated in a message.
    package var isSecret: Bool
    var accepts: @Sendable (String) -> Bool

    /// How messages and help name it.
    package var label: String {
        switch form {
        case .flag: "--\(name)"
        case .option: "--\(name) <\(placeholder)>"
        case .argument: "<\(name)>"
        }
    }

    /// Within a usage line.
    var usage: String {
        let repeated = arity == .repeated ? " ..." : ""
        return arity == .required ? label : "[\(label)\(repeated)]"
    }
}

/// Anything a command's table may hold.
package protocol DeclaredParameter: Sendable {
    var spec: ParameterSpec { get }
}

package struct Parameter<Value: Sendable>: DeclaredParameter {
    package let spec: ParameterSpec
    /// Of the texts the parser accepted; empty when there was none.
    let decode: @Sendable ([String]) -> Value?
}

/// Makes parameters that are given by name.
package enum Option {
    package static func flag(_ name: String, short: Character? = nil, _ help: String) -> Parameter<Bool> {
        var spec = makeSpec(.flag, .optional, name, .text, help)
        spec.short = short
        return Parameter(spec: spec) { !$0.isEmpty }
    }

    package static func required<Value>(
        _ name: String, _ type: ValueType<Value>, _ placeholder: String, short: Character? = nil,
        environment: String? = nil, _ help: String
    ) -> Parameter<Value> {
        var spec = makeSpec(.option, .required, name, type, help)
        (spec.placeholder, spec.short, spec.environment) = (placeholder, short, environment)
        return Parameter(spec: spec) { $0.last.flatMap(type.parse) }
    }

    /// Always has a value.
    package static func value<Value>(
        _ name: String, _ type: ValueType<Value>, _ placeholder: String, default fallback: Value,
        short: Character? = nil, environment: String? = nil, _ help: String
    ) -> Parameter<Value> {
        var spec = makeSpec(.option, .optional, name, type, help)
        (spec.placeholder, spec.short, spec.environment) = (placeholder, short, environment)
        spec.fallback = type.show(fallback)
        return Parameter(spec: spec) { $0.last.map(type.parse) ?? fallback }
    }

    package static func optional<Value>(
        _ name: String, _ type: ValueType<Value>, _ placeholder: String, short: Character? = nil,
        environment: String? = nil, secret: Bool = false, _ help: String
    ) -> Parameter<Value?> {
        var spec = makeSpec(.option, .optional, name, type, help)
        (spec.placeholder, spec.short, spec.environment) = (placeholder, short, environment)
        spec.isSecret = secret
        return Parameter(spec: spec) { .some($0.last.flatMap(type.parse)) }
    }

    /// May be given several times; nothing given is an empty list, unless `default` says more.
    package static func repeated<Value>(
        _ name: String, _ type: ValueType<Value>, _ placeholder: String, default fallback: [Value] = [],
        environment: String? = nil, _ help: String
    ) -> Parameter<[Value]> {
        var spec = makeSpec(.option, .repeated, name, type, help)
        (spec.placeholder, spec.environment) = (placeholder, environment)
        if !fallback.isEmpty { spec.fallback = fallback.map(type.show).joined(separator: ", ") }
        return Parameter(spec: spec) { $0.isEmpty ? fallback : $0.compactMap(type.parse) }
    }
}

/// Makes parameters that are given by place.
package enum Argument {
    package static func required<Value>(
        _ name: String, _ type: ValueType<Value>, _ help: String
    ) -> Parameter<Value> {
        Parameter(spec: makeSpec(.argument, .required, name, type, help)) { $0.last.flatMap(type.parse) }
    }

    package static func optional<Value>(
        _ name: String, _ type: ValueType<Value>, _ help: String
    ) -> Parameter<Value?> {
        Parameter(spec: makeSpec(.argument, .optional, name, type, help)) { .some($0.last.flatMap(type.parse)) }
    }

    /// Takes all that is left; the last argument of its command.
    package static func repeated<Value>(
        _ name: String, _ type: ValueType<Value>, _ help: String
    ) -> Parameter<[Value]> {
        Parameter(spec: makeSpec(.argument, .repeated, name, type, help)) { $0.compactMap(type.parse) }
    }
}

private func makeSpec<Value>(
    _ form: ParameterSpec.Form, _ arity: ParameterSpec.Arity, _ name: String, _ type: ValueType<Value>, _ help: String
) -> ParameterSpec {
    ParameterSpec(
        form: form, arity: arity, name: name, placeholder: name, help: help, expected: type.expected,
        choices: type.choices, completesFiles: type.completion == .files,
        completesDirectories: type.completion == .directories, isSecret: false, accepts: { type.parse($0) != nil })
}
