/// Parameters written as literals: `[30]` by position, `["age": 30]` by name.

public import VarveModel

extension QueryParameters: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: Value...) { self = elements.isEmpty ? .none : .positional(elements) }
}

/// Names are given without the mark. `[:]` is none.
extension QueryParameters: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, Value)...) {
        self = elements.isEmpty ? .none : .named(elements.map { Value.Field($0.0, $0.1) })
    }
}
