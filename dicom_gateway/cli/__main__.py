"""`python -m dicom_gateway.cli`: the same as the command `radgate`."""

from dicom_gateway.cli.app import main

if __name__ == "__main__":
    main()
