package incident

// Recognisers names the adapters that recognise a JSON object, for the test
// that it is never more than one.
func Recognisers(raw []byte) ([]string, error) {
	o, err := decodeObject(raw)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, a := range adapters() {
		if a.recognises(o) {
			names = append(names, a.name)
		}
	}
	return names, nil
}
